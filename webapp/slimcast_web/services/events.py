"""The events of runs that somebody is looking at: read once, and from then on only what is new."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from slimcast.records import Event

if TYPE_CHECKING:
    from slimcast.store import Store

PAGE = 5000
RUNS_KEPT = 8


class EventReader:
    """Reads a run's events, and keeps those of the runs that were asked for last. Thread-safe."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._kept: OrderedDict[str, list[Event]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run_id: str) -> list[Event]:
        """Return all events of a run, in their order."""
        with self._lock:
            events = self._kept.setdefault(run_id, [])
            self._kept.move_to_end(run_id)
            while len(self._kept) > RUNS_KEPT:
                self._kept.popitem(last=False)
            while True:
                page = self._store.events(run_id, after=events[-1].seq if events else 0, limit=PAGE)
                events += page
                if len(page) < PAGE:
                    return list(events)
