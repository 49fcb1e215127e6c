"""How long work says how far it is, and learns that it should stop."""

from collections.abc import Sequence
from typing import Protocol

from slimcast.records import Cell


class Reporter(Protocol):
    """Where a step sends what it has to say. Every call is cheap; none may fail the work."""

    def log(self, text: str, level: str = "info") -> None:
        """Tell a person something; `level` is info, warning or error."""

    def progress(self, fraction: float, activity: str) -> None:
        """Set how much is done, 0..1, and what is being done."""

    def point(self, series: str, x: float, y: float, step: int) -> None:
        """Add a point to a live curve; x in epochs of that step."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Tell what was found out, see `slimcast.records.Table`; it replaces the one of that name."""

    def step(self, index: int, kind: str, status: str) -> None:
        """Say that a step has started, finished or been skipped (its checkpoint was there)."""

    def check_cancelled(self) -> None:
        """Call at least once a second.

        Raises:
            Cancelled: somebody cancelled the run.
        """


class SilentReporter:
    """Says nothing and is never cancelled: for library calls and tests."""

    def log(self, text: str, level: str = "info") -> None:
        """Do nothing."""

    def progress(self, fraction: float, activity: str) -> None:
        """Do nothing."""

    def point(self, series: str, x: float, y: float, step: int) -> None:
        """Do nothing."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Do nothing."""

    def step(self, index: int, kind: str, status: str) -> None:
        """Do nothing."""

    def check_cancelled(self) -> None:
        """Do nothing."""


class ScaledReporter:
    """Passes on to another reporter, with the progress mapped into a part of the whole."""

    def __init__(self, inner: Reporter, start: float, end: float) -> None:
        self._inner, self._start, self._end = inner, start, end
        self.log = inner.log
        self.point = inner.point
        self.table = inner.table
        self.step = inner.step
        self.check_cancelled = inner.check_cancelled

    def progress(self, fraction: float, activity: str) -> None:
        """Set how much of this part is done."""
        self._inner.progress(self._start + (self._end - self._start) * fraction, activity)


class QuietReporter(ScaledReporter):
    """Passes on progress and cancellation only: for many small trainings, whose curves nobody could read.

    The activity stays what the caller says, whatever the work within says of itself.
    """

    def __init__(self, inner: Reporter, start: float, end: float, activity: str) -> None:
        super().__init__(inner, start, end)
        self._activity = activity
        silent = SilentReporter()
        self.log, self.point, self.table = silent.log, silent.point, silent.table

    def progress(self, fraction: float, activity: str) -> None:
        """Set how much of this part is done."""
        super().progress(fraction, self._activity)


class MonotoneReporter(ScaledReporter):
    """Never lets the bar go back: for work whose length turns out as it goes on."""

    def __init__(self, inner: Reporter) -> None:
        super().__init__(inner, 0.0, 1.0)
        self._largest = 0.0

    def progress(self, fraction: float, activity: str) -> None:
        """Set how much is done; less than before counts as what was."""
        self._largest = max(self._largest, min(1.0, fraction))
        super().progress(self._largest, activity)
