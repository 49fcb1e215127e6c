"""What each variant costs and keeps: points, the Pareto front, sentences, CSV."""

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

from slimcast.records import Measurement, Run, Variant
from slimcast_web.services import figures
from slimcast_web.services.studio import Studio

LATENCY = "latency_p50_ms"


_NOTABLE = 1.05
"""Times smaller or faster: less than that is within the noise of a measurement."""

_TOO_SMALL = "what a call costs, or what stays in float, outweighs what integers save on this machine"
_NOT_FASTER = {
    "weight_only": "there are no kernels for such weights, so the runtime unpacks them to float at load",
    "binary": "there are no kernels for one-bit weights, so the runtime unpacks them once, at load",
    "float16": "this processor has no 16-bit kernels, so the runtime computes in 32 bits",
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A measured cost that accuracy can be drawn against."""

    name: str
    title: str
    axis: str


COSTS = (
    Cost(name="size_bytes", title="Size", axis="Size of the .onnx file (bytes)"),
    Cost(name="macs", title="MACs", axis="Multiply-accumulates for one image"),
    Cost(name=LATENCY, title="Latency", axis="Latency p50, batch 1, 1 thread (ms)"),
    Cost(name="compressed_bytes", title="Compressed size", axis="Size after zlib level 9 (bytes)"),
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A variant of a run, ready to be drawn and listed."""

    run: Run
    variant: Variant

    @property
    def key(self) -> str:
        """Return what names it across runs."""
        return f"{self.run.id}/{self.variant.name}"

    @property
    def title(self) -> str:
        """Return what a person calls it."""
        return f"{self.run.name} {self.variant.name}"

    @property
    def file_name(self) -> str:
        """Return the name of its file when it is downloaded."""
        return f"{self.run.name}-{self.variant.name}"[:96]

    def value(self, name: str) -> float | None:
        """Return a measured value."""
        return self.variant.value(name)

    def measurement(self, name: str) -> Measurement | None:
        """Return a measurement with all that belongs to it."""
        return next((m for m in self.variant.measurements if m.name == name), None)


def runs_with_variants(studio: Studio, limit: int = 50) -> list[Run]:
    """Return the newest runs that have something to compare."""
    return [run for run in studio.store.runs(limit=limit) if run.started_at and studio.store.variants(run.id)]


def points(studio: Studio, run_ids: Sequence[str]) -> list[Point]:
    """Return all variants of these runs that have an accuracy.

    Raises:
        RunNotFound: one of them does not exist.

    """
    found = []
    for run_id in run_ids:
        run = studio.store.run(run_id)
        found += [Point(run=run, variant=variant) for variant in studio.store.variants(run.id)]
    return [point for point in found if point.value("accuracy") is not None]


def front(points: Sequence[Point], cost: str) -> list[Point]:
    """Return the Pareto front, cheapest first: no other is as accurate and as cheap, and better in one."""
    usable = [point for point in points if point.value(cost) is not None]
    # Cheapest first; of equally cheap ones the most accurate, which shadows the rest.
    usable.sort(key=lambda point: (point.value(cost) or 0.0, -(point.value("accuracy") or 0.0)))
    best, chosen = -1.0, []
    for point in usable:
        accuracy = point.value("accuracy") or 0.0
        if accuracy > best:
            best = accuracy
            chosen.append(point)
    return chosen


def baseline(points: Sequence[Point], point: Point) -> Point | None:
    """Return the first variant of the same run, None when that is the point itself."""
    first = min((p for p in points if p.run.id == point.run.id), key=lambda p: p.variant.step)
    return None if first.key == point.key else first


def sentence(base: Point, point: Point) -> str:
    """Return in one sentence what a variant gains and loses against the baseline of its run."""
    gains = []
    for name, more, less in (("size_bytes", "smaller", "larger"), (LATENCY, "faster", "slower")):
        ratio = _ratio(base, point, name)
        if ratio is not None:
            word, times = (more, ratio) if ratio >= 1 else (less, 1 / ratio)
            gains.append(f"{figures.factor(times)} times {word}")
    change = ((point.value("accuracy") or 0.0) - (base.value("accuracy") or 0.0)) * 100
    text = f"{point.variant.name} is {' and '.join(gains) or 'not measured'} against {base.variant.name}, at "
    text += f"{figures.percent(point.value('accuracy') or 0.0)} accuracy"
    if abs(change) < 0.005:
        return text + ", the same."
    return text + f", {abs(change):.2f} points {'more' if change > 0 else 'less'}."


def machine_note(points: Sequence[Point]) -> str:
    """Return where and how the latencies were measured."""
    found = [m for point in points if (m := point.measurement(LATENCY)) is not None]
    machines = sorted({m.machine for m in found if m.machine})
    if not machines:
        return ""
    runs = f"{min(m.n for m in found)} to {max(m.n for m in found)}" if len(found) > 1 else str(found[0].n)
    return f"Latency: ONNX Runtime, batch 1, 1 thread, p50 of {runs} runs, on {'; '.join(machines)}."


def zeros_note(points: Sequence[Point], point: Point) -> str:
    """Return what the zeros of a sparsified variant are worth; nothing for other variants."""
    sparsified = any(
        other.variant.step_kind == "sparsify" and other.variant.step <= point.variant.step
        for other in points
        if other.run.id == point.run.id
    )
    share = point.value("sparsity")
    if not sparsified or not share:
        return ""
    return (
        f"{figures.percent(share)} of this variant's weights are zero. Dense kernels gain no speed from "
        "scattered zeros, and the file keeps its size: only the compressed size shrinks."
    )


def numbers_note(points: Sequence[Point], point: Point) -> str:
    """Return what fewer bits are worth on the machine that measured; nothing for a variant in float32."""
    before = last_float(points, point)
    if point.variant.numeric_kind == "float32" or before is None:
        return ""
    sizes, times = _ratio(before, point, "size_bytes"), _ratio(before, point, LATENCY)
    smaller, faster = (sizes or 1.0) > _NOTABLE, (times or 1.0) > _NOTABLE
    verdict = {
        (True, True): "Smaller and faster",
        (True, False): "Smaller only",
        (False, True): "Faster only",
        (False, False): "Neither smaller nor faster",
    }[smaller, faster]
    share = point.measurement("integer_share")
    running = ""
    if share is not None and share.n:
        running = f" {share.value * share.n:.0f} of {share.n} layers run in integer kernels."
    why = "" if faster else f": {_NOT_FASTER.get(point.variant.numeric_kind, _TOO_SMALL)}"
    return f"{verdict} than {before.variant.name}{why}.{running}"


def last_float(points: Sequence[Point], point: Point) -> Point | None:
    """Return the last variant in float32 before this one in the same run."""
    found = [
        other
        for other in points
        if other.run.id == point.run.id
        and other.variant.step < point.variant.step
        and other.variant.numeric_kind == "float32"
    ]
    return max(found, key=lambda other: other.variant.step, default=None)


def csv_file(points: Sequence[Point]) -> tuple[str, str]:
    """Return name and text of a table with every measurement, one a line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["run", "recipe", "recipe_hash", "variant", "step", "numeric_kind", "artifact_sha256",
         "measurement", "value", "unit", "n", "spread", "machine"]
    )  # fmt: skip
    for point in points:
        run, variant = point.run, point.variant
        head = [run.id, run.name, run.recipe_hash, variant.name, variant.step, variant.numeric_kind,
                variant.artifact or ""]  # fmt: skip
        for m in variant.measurements:
            writer.writerow([*head, m.name, m.value, m.unit, m.n, m.spread, m.machine])
    return f"slimcast-trade-offs-{time.strftime('%Y-%m-%d')}.csv", buffer.getvalue()


def _ratio(base: Point, point: Point, name: str) -> float | None:
    before, after = base.value(name), point.value(name)
    return before / after if before and after else None
