"""Frozen records that all layers share. They import nothing of the engine."""

import csv
import io
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    def is_finished(self) -> bool:
        """Return whether the run has ended for good; its row never changes again, unless it is resumed."""
        return self in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}

    def can_resume(self) -> bool:
        """Return whether the run can go on from its last finished step."""
        return self in {RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure, with all that makes it honest.

    Attributes:
        name: accuracy, validation_accuracy, params, macs, size_bytes, compressed_bytes, sparsity,
            integer_share, agreement, latency_p50_ms, latency_p90_ms, peak_rss_mb.
        unit: "" for counts and fractions (accuracy and sparsity are fractions from 0 to 1), else SI.
        n: how many samples it rests on. spread: standard deviation over them, in `unit`; 0 where it is exact.
        machine: where it was measured; "" where that makes no difference.
    """

    name: str
    value: float
    unit: str = ""
    higher_is_better: bool
    n: int = 1
    spread: float = 0.0
    machine: str = ""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A model that a step of a run has left, and what was measured on it.

    Attributes:
        name: unique in its run: the step's number and what it made, such as ``2-prune`` or ``4-int8``.
        step: index of the step in the recipe, from 0.
        artifact: sha256 of the .onnx file in the artifact store, None where a variant has none.
        predictions: sha256 of its answers to the held-out images there (`slimcast.measure.predictions`), None
            where they were not kept.
    """

    run_id: str
    name: str
    step: int
    step_kind: str
    numeric_kind: str
    artifact: str | None
    predictions: str | None = None
    measurements: tuple[Measurement, ...] = ()

    def value(self, name: str) -> float | None:
        """Return a measured value, None where it was not measured."""
        return next((m.value for m in self.measurements if m.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of a recipe. Times are Unix times in seconds."""

    id: str
    name: str
    recipe_yaml: str
    recipe_hash: str
    state: RunState
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    heartbeat_at: float | None = None
    progress: float = 0.0
    activity: str = ""
    error: str = ""
    cancel_requested: bool = False
    worker: str = ""
    deleted_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search over recipes; its trials are runs. Times are Unix times in seconds.

    Attributes:
        search_yaml: the search file with its recipe inside: it can be taken up without any other file.
        search_hash: what makes it the same search; the number of trials and of workers is not part of it.
    """

    id: str
    name: str
    search_yaml: str
    search_hash: str
    state: RunState
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    heartbeat_at: float | None = None
    progress: float = 0.0
    activity: str = ""
    error: str = ""
    cancel_requested: bool = False
    worker: str = ""


class EventKind(StrEnum):
    """What a run tells while it goes on."""

    LOG = "log"
    PROGRESS = "progress"
    POINT = "point"
    STEP = "step"
    STATE = "state"
    TABLE = "table"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run.

    Attributes:
        seq: grows by one within a run.
        data: ``log``: text, level. ``progress``: fraction (of the run), activity. ``point``: series, x, y,
            step (a point of a live curve; series such as ``train loss`` or ``test accuracy``, x in epochs).
            ``step``: index, kind, status (``started``, ``finished`` or ``skipped``). ``state``: state,
            reason. ``table``: name, columns, rows, see `Table`.
    """

    run_id: str
    seq: int
    at: float
    kind: EventKind
    data: dict[str, Any] = field(default_factory=dict)


Cell = str | int | float | None
"""What a field of a table may hold; numbers are finite, fractions from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a step has found out, row by row; a table that grows replaces the one of its name.

    Attributes:
        name: unique in its run: the step's number and what it is, such as ``1-sensitivity``.
        columns: their heads, with the unit at the end of those that have one (``latency_ms``).
        rows: as many cells each as there are columns.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_csv(self) -> str:
        """Return it as CSV, with a line of heads; what is not known is empty."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return buffer.getvalue()


_SLOWER = 1.1


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What a device measured of an artifact: batch 1, in a process of its own.

    Attributes:
        artifact: sha256. device: its name; machine: what it is, such as ``Raspberry Pi 5, 4 cores, ...``.
        runtime: name and version. provider: what computed. threads: how many.
        camera: ``running`` or ``paused`` meanwhile. busy: whether others computed there too.
        at: Unix time, s.
        std_ms: standard deviation over `runs` executions.
        slowdown: median of the last quarter of them over that of the first.
        throttled: whether the board slowed itself down; None: it does not say.
    """

    artifact: str
    device: str
    machine: str
    runtime: str
    provider: str
    threads: int
    camera: str
    busy: bool
    at: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float
    runs: int
    slowdown: float
    peak_rss_mb: float
    temperature_before_c: float | None = None
    temperature_after_c: float | None = None
    throttled: bool | None = None

    @property
    def got_slower(self) -> bool:
        """Return whether the last quarter took a tenth longer than the first, or more."""
        return self.slowdown > _SLOWER

    @property
    def clock(self) -> str:
        """Return what must be the same for two figures to be comparable, in words."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.device}: {self.machine}; {self.runtime}, {self.provider}, {threads}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The torch model after a finished step: sha256 of a safetensors file in the artifact store."""

    run_id: str
    step: int
    file: str
