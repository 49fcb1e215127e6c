"""What a run tells, on its way into the store: collected cheaply, written in batches."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from slimcast.errors import Cancelled, StoreError
from slimcast.records import Cell, EventKind
from slimcast.reporting import Reporter, SilentReporter
from slimcast.store import Store

_LEAST_PROGRESS = 0.01
_MOST_WAITING = 20_000


class News:
    """Tells progress that is worth a line from the flood of it: enough of it, or another activity.

    An activity reads ``Training, epoch 3 of 15``: what stands behind the first comma is a figure.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._fraction, self._what = -1.0, ""

    def is_news(self, fraction: float, activity: str) -> bool:
        """Return whether to tell it."""
        what = activity.partition(",")[0]
        if what == self._what and abs(fraction - self._fraction) < self._least:
            return False
        self._fraction, self._what = fraction, what
        return True


class StoreReporter:
    """Keeps events until `flush` writes them; passes everything on to a console.

    Attributes:
        fraction, activity: the newest progress, which the heartbeat carries.
        cancelled: set by whoever learns that the run should stop.
    """

    def __init__(self, store: Store, run_id: str, console: Reporter | None = None) -> None:
        self.cancelled = threading.Event()
        self.fraction, self.activity = 0.0, ""
        self._store, self._run_id = store, run_id
        self._console = console or SilentReporter()
        self._waiting: list[tuple[float, EventKind, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._news = News(_LEAST_PROGRESS)

    def log(self, text: str, level: str = "info") -> None:
        """Keep a line of the log."""
        self._console.log(text, level)
        self._add(EventKind.LOG, {"text": text, "level": level})

    def progress(self, fraction: float, activity: str) -> None:
        """Keep how much is done; as an event only when it is news (1 %, or another activity)."""
        self._console.progress(fraction, activity)
        self.fraction, self.activity = fraction, activity
        if self._news.is_news(fraction, activity):
            self._add(EventKind.PROGRESS, {"fraction": fraction, "activity": activity})

    def point(self, series: str, x: float, y: float, step: int) -> None:
        """Keep a point of a curve."""
        self._console.point(series, x, y, step)
        self._add(EventKind.POINT, {"series": series, "x": x, "y": y, "step": step})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Keep a table, as it is now."""
        self._console.table(name, columns, rows)
        data = {"name": name, "columns": list(columns), "rows": [list(row) for row in rows]}
        self._add(EventKind.TABLE, data)

    def step(self, index: int, kind: str, status: str) -> None:
        """Keep that a step has started, finished or been skipped."""
        self._console.step(index, kind, status)
        self._add(EventKind.STEP, {"index": index, "kind": kind, "status": status})

    def check_cancelled(self) -> None:
        """Stop the work when somebody has cancelled the run.

        Raises:
            Cancelled: somebody has.
        """
        if self.cancelled.is_set():
            raise Cancelled("The run was cancelled.")

    def flush(self) -> None:
        """Write what has been kept. What cannot be written now is kept for the next time."""
        with self._flushing:
            with self._lock:
                batch, self._waiting = self._waiting, []
            if not batch:
                return
            try:
                self._store.add_events(self._run_id, batch)
            except StoreError as error:
                self._console.log(f"Events could not be stored yet: {error}", "warning")
                with self._lock:
                    self._waiting = (batch + self._waiting)[-_MOST_WAITING:]

    def _add(self, kind: EventKind, data: dict[str, Any]) -> None:
        with self._lock:
            self._waiting.append((time.time(), kind, data))
