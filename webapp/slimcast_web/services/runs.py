"""What the Runs page shows: a list, and everything about one run."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from slimcast.errors import RecipeError
from slimcast.recipe import parse_recipe
from slimcast.records import Event, EventKind, Run, RunState, Table, Variant
from slimcast_web.services import tables
from slimcast_web.services.studio import Studio

LOG_LINES = 400
CURVE_POINTS = 1500


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A live curve. `xs` in epochs since the run's start, all steps laid end to end."""

    series: str
    xs: list[float]
    ys: list[float]


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """Where one step of the recipe stands: waiting, started, finished, skipped or stopped."""

    index: int
    kind: str
    status: str
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunDetail:
    """Everything about one run.

    Attributes:
        boundaries: (epochs, step's kind) where each step's curves begin.
        tables: what its steps have found out.
    """

    run: Run
    steps: list[StepLine]
    losses: list[Curve]
    accuracies: list[Curve]
    log: list[str]
    variants: list[Variant]
    boundaries: list[tuple[float, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    tags: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Return whether more may come."""
        return any_live([self.run])

    @property
    def elapsed_s(self) -> float:
        """Seconds since its start, up to its end."""
        if self.run.started_at is None:
            return 0.0
        return (self.run.finished_at or time.time()) - self.run.started_at


def any_live(runs: Iterable[Run]) -> bool:
    """Return whether one of them waits or runs."""
    return any(run.state in {RunState.QUEUED, RunState.RUNNING} for run in runs)


def detail(studio: Studio, run_id: str) -> RunDetail:
    """Return everything about a run.

    Raises:
        RunNotFound: there is no such run.

    """
    run = studio.store.run(run_id)
    events = studio.events.of(run.id)
    points = [event for event in events if event.kind is EventKind.POINT]
    kinds = _step_kinds(run)
    starts = _curve_starts(points)
    curves = _curves(points, starts)
    return RunDetail(
        run=run,
        steps=_steps(run, kinds, events),
        losses=[curve for curve in curves if "loss" in curve.series],
        accuracies=[curve for curve in curves if "accuracy" in curve.series],
        log=[_log_line(event) for event in events if event.kind is EventKind.LOG][-LOG_LINES:],
        variants=studio.store.variants(run.id),
        boundaries=[(at, kinds[step] if step < len(kinds) else "") for step, at in sorted(starts.items())],
        tables=tables.of_events(events),
        tags=studio.store.run_list.tags_of(run.id),
    )


def cancel(studio: Studio, run_id: str) -> None:
    """Ask a run to stop.

    Raises:
        RunStateError: it has finished already.

    """
    studio.queue.cancel(run_id)


def resume(studio: Studio, run_id: str) -> None:
    """Have a run go on from its last finished step.

    Raises:
        RunStateError: it is not in a state from which it can.

    """
    studio.queue.resume(run_id)


def _step_kinds(run: Run) -> list[str]:
    try:
        return [step.kind for step in parse_recipe(run.recipe_yaml).steps]
    except RecipeError:
        return []  # made by another version; the rest of the page still works


def _steps(run: Run, kinds: list[str], events: list[Event]) -> list[StepLine]:
    status: dict[int, str] = {}
    begun: dict[int, float] = {}
    ended: dict[int, float] = {}
    for event in events:
        if event.kind is EventKind.STEP:
            index = int(event.data["index"])
            status[index] = str(event.data["status"])
            (begun if status[index] == "started" else ended)[index] = event.at
    if not any_live([run]):
        status = {index: "stopped" if word == "started" else word for index, word in status.items()}
    lines = []
    for index, kind in enumerate(kinds):
        end = ended.get(index) or (time.time() if status.get(index) == "started" else None)
        seconds = end - begun[index] if end and index in begun else None
        lines.append(StepLine(index=index, kind=kind, status=status.get(index, "waiting"), seconds=seconds))
    return lines


def _curve_starts(points: list[Event]) -> dict[int, float]:
    """Return where each step begins on the common axis, epochs: behind the longest curve before it."""
    length: dict[int, float] = {}
    for point in points:
        step = int(point.data["step"])
        length[step] = max(length.get(step, 0.0), float(point.data["x"]))
    starts, at = {}, 0.0
    for step in sorted(length):
        starts[step] = at
        at += length[step]
    return starts


def _curves(points: list[Event], starts: dict[int, float]) -> list[Curve]:
    found: dict[str, dict[tuple[int, float], float]] = {}
    for point in points:
        data = point.data
        # A step that was run again after an interruption replaces its points.
        found.setdefault(str(data["series"]), {})[(int(data["step"]), float(data["x"]))] = float(data["y"])
    curves = []
    for series, values in found.items():
        placed = sorted((starts[step] + x, y) for (step, x), y in values.items())
        every = max(1, len(placed) // CURVE_POINTS)
        thinned = placed[::every] + (placed[-1:] if (len(placed) - 1) % every else [])
        curves.append(Curve(series=series, xs=[x for x, _ in thinned], ys=[y for _, y in thinned]))
    return curves


def _log_line(event: Event) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(event.at))
    level = str(event.data.get("level", "info"))
    return f"{at}  {'' if level == 'info' else level.upper() + ': '}{event.data.get('text', '')}"
