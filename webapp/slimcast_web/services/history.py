"""What the devices have reported since the app started: the hub knows only how they stand now."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slimcast_edge.wire import Reported

if TYPE_CHECKING:
    from slimcast.fleet.hub import FleetHub

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.05
"""Often enough to see the short states of a deployment go by; a look costs microseconds."""

KEPT = 60


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A state that a device reported. `until`: Unix time of the last report in this state, s."""

    at: float
    until: float
    reported: Reported


class StateHistory:
    """Notes each change of what the devices report, at most `KEPT` for each."""

    def __init__(self, hub: "FleetHub") -> None:
        self._hub = hub
        self._seen: dict[str, deque[Seen]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to look."""
        self._thread = threading.Thread(target=self._run, name="state-history", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def of(self, device: str) -> list[Seen]:
        """Return what a device has reported, oldest first."""
        with self._lock:
            return list(self._seen.get(device, ()))

    def look(self) -> None:
        """Note what has changed since the last look."""
        for device in self._hub.devices():
            if device.reported is not None:
                self._note(device.name, device.reported)

    def _note(self, name: str, reported: Reported) -> None:
        now = time.time()
        with self._lock:
            seen = self._seen.setdefault(name, deque(maxlen=KEPT))
            last = seen[-1].reported if seen else None
            if last == reported:
                return
            if last is not None and (last.revision, last.state) == (reported.revision, reported.state):
                seen[-1] = replace(seen[-1], until=now, reported=reported)  # only its progress has changed
            else:
                seen.append(Seen(at=now, until=now, reported=reported))

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:  # a page without history is better than a thread that is gone
                log.exception("The devices' states could not be read.")
                self._stopping.wait(5.0)
