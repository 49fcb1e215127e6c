"""What each variant costs and keeps: points, sentences, CSV."""

import csv
import io
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from slimcast.records import Measurement, Run, Variant
from slimcast.store.run_list import RunFilter, RunName
from slimcast_web.services import device_figures, figures
from slimcast_web.services.measures import ACCURACY, LATENCY, SIZE
from slimcast_web.services.studio import Studio

_NOTABLE = 1.05
"""Times smaller or faster: less than that is within the noise of a measurement."""

_TOO_SMALL = "what a call costs, or what stays in float, outweighs what integers save on this machine"
_NOT_FASTER = {
    "weight_only": "there are no kernels for such weights, so the runtime unpacks them to float at load",
    "binary": "there are no kernels for one-bit weights, so the runtime unpacks them once, at load",
    "float16": "this processor has no 16-bit kernels, so the runtime computes in 32 bits",
}


MOST_RUNS = 100
"""Runs that are compared at once: a thousand points, which a browser draws without a wait."""


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

    def value(self, name: str, machine: str = "") -> float | None:
        """Return a measured value, see `measurement`."""
        found = self.measurement(name, machine)
        return None if found is None else found.value

    def measurement(self, name: str, machine: str = "") -> Measurement | None:
        """Return a measurement with all that belongs to it.

        Args:
            name: of what was measured.
            machine: where, for what depends on that; "" for where the run was.
        """
        found = self._by_name.get(name, {})
        if not machine or "" in found:
            return next(iter(found.values()), None)
        return found.get(machine)

    @cached_property
    def _by_name(self) -> dict[str, dict[str, Measurement]]:
        found: dict[str, dict[str, Measurement]] = {}
        for one in self.variant.measurements:
            found.setdefault(one.name, {}).setdefault(one.machine, one)
        return found


def runs_with_variants(studio: Studio, limit: int = 1000) -> list[RunName]:
    """Return the newest runs that have something to compare."""
    return studio.store.run_list.names(RunFilter(measured=True), limit=limit)


def points(studio: Studio, run_ids: Sequence[str]) -> list[Point]:
    """Return all variants of these runs that have an accuracy, in the order of the runs.

    What devices have measured of a variant stands behind what its run has.

    Raises:
        RunNotFound: one of them does not exist.

    """
    runs = studio.store.run_list.several(run_ids)
    variants = studio.variants.of(runs)
    artifacts = {one.artifact for several in variants.values() for one in several if one.artifact}
    on_devices = device_figures.of_artifacts(studio, artifacts) if artifacts else {}
    found = [
        Point(run=run, variant=_with(variant, on_devices.get(variant.artifact or "", ())))
        for run in runs
        for variant in variants[run.id]
    ]
    return [point for point in found if point.value(ACCURACY) is not None]


def machines(points: Sequence[Point], name: str = LATENCY) -> list[str]:
    """Return where something was measured, the machine of most points first."""
    counts = Counter(
        one.machine for point in points for one in point.variant.measurements if one.name == name
    )
    return [machine for machine, _ in counts.most_common() if machine]


def baseline(points: Sequence[Point], point: Point) -> Point | None:
    """Return the first variant of the same run, None when that is the point itself."""
    first = min((p for p in points if p.run.id == point.run.id), key=lambda p: p.variant.step)
    return None if first.key == point.key else first


def sentence(base: Point, point: Point, machine: str = "") -> str:
    """Return in one sentence what a variant gains and loses against the baseline of its run."""
    gains = []
    for name, more, less in ((SIZE, "smaller", "larger"), (LATENCY, "faster", "slower")):
        ratio = _ratio(base, point, name, machine)
        if ratio is not None:
            word, times = (more, ratio) if ratio >= 1 else (less, 1 / ratio)
            gains.append(f"{figures.factor(times)} times {word}")
    change = ((point.value("accuracy") or 0.0) - (base.value("accuracy") or 0.0)) * 100
    text = f"{point.variant.name} is {' and '.join(gains) or 'not measured'} against {base.variant.name}, at "
    text += f"{figures.percent(point.value('accuracy') or 0.0)} accuracy"
    if abs(change) < 0.005:
        return text + ", the same."
    return text + f", {abs(change):.2f} points {'more' if change > 0 else 'less'}."


def machine_note(points: Sequence[Point], machine: str = "") -> str:
    """Return where and how the latencies were measured."""
    found = [m for point in points if (m := point.measurement(LATENCY, machine)) is not None]
    machines = sorted({m.machine for m in found if m.machine})
    if not machines:
        return ""
    least, most = min(m.n for m in found), max(m.n for m in found)
    threads = "" if machine else ", 1 thread"  # a device's name says how many
    runs = str(least) if least == most else f"{least} to {most}"
    return f"Latency: ONNX Runtime, batch 1{threads}, p50 of {runs} runs, on {'; '.join(machines)}."


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


def csv_name() -> str:
    """Return what the table is called as a file, with the date."""
    return f"slimcast-trade-offs-{time.strftime('%Y-%m-%d')}.csv"


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
    return csv_name(), buffer.getvalue()


def _with(variant: Variant, more: tuple[Measurement, ...]) -> Variant:
    return replace(variant, measurements=variant.measurements + more) if more else variant


def _ratio(base: Point, point: Point, name: str, machine: str = "") -> float | None:
    before, after = base.value(name, machine), point.value(name, machine)
    return before / after if before and after else None
