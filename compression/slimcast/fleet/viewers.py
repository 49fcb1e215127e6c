"""Who watches which device: a callback for each viewer, and one lease for them all."""

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slimcast.fleet.records import FramePacket
from slimcast_edge.wire import Result

LEASE_S = 6.0
_log = logging.getLogger(__name__)

FrameCallback = Callable[[FramePacket], None]
ResultCallback = Callable[[Result], None]


@dataclass(frozen=True, kw_only=True)
class _Viewer:
    name: str
    frames: bool
    callback: Callable[[Any], None]


class Viewers:
    """Viewers by device, and the thread that renews their leases.

    Args:
        send_lease: publishes a lease to a device: seconds, and whether frames are wanted or results alone;
            called from several threads.

    """

    def __init__(self, send_lease: Callable[[str, float, bool], object], *, lease_s: float = LEASE_S) -> None:
        self._send_lease, self._lease_s = send_lease, lease_s
        self._viewers: dict[str, dict[int, _Viewer]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to renew leases, every third of their length."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="hub-leases", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and the leases that are held."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        for device in self.watched():
            self._send_lease(device, 0.0, False)

    def add_frames(self, device: str, viewer: str, callback: FrameCallback) -> Callable[[], None]:
        """Call `callback` with each frame of a device until the returned function is called."""
        return self._add(device, _Viewer(name=viewer, frames=True, callback=callback))

    def add_results(self, device: str, viewer: str, callback: ResultCallback) -> Callable[[], None]:
        """Call `callback` with each result of a device until the returned function is called."""
        return self._add(device, _Viewer(name=viewer, frames=False, callback=callback))

    def watched(self) -> list[str]:
        """Return the devices that somebody watches."""
        with self._lock:
            return list(self._viewers)

    def renew(self, device: str | None = None) -> None:
        """Renew the lease of one device, if it is watched, or of all that are."""
        for watched in self.watched():
            if device in (None, watched):
                self._lease(watched)

    def deliver(self, device: str, item: FramePacket | Result) -> int:
        """Hand a frame or a result to all that watch for it, and return how many of them failed."""
        frames = isinstance(item, FramePacket)
        with self._lock:
            viewers = [v for v in self._viewers.get(device, {}).values() if v.frames == frames]
        failed = 0
        for viewer in viewers:
            try:
                viewer.callback(item)
            except Exception:
                failed += 1
                _log.exception("Viewer %r of %s failed.", viewer.name, device)
        return failed

    def _add(self, device: str, viewer: _Viewer) -> Callable[[], None]:
        number = next(self._numbers)
        with self._lock:
            self._viewers.setdefault(device, {})[number] = viewer
        self._lease(device)
        return lambda: self._remove(device, number)

    def _remove(self, device: str, number: int) -> None:
        with self._lock:
            viewers = self._viewers.get(device, {})
            known = viewers.pop(number, None)
            if not viewers:
                self._viewers.pop(device, None)
        if known is not None:
            self._lease(device)

    def _lease(self, device: str) -> None:
        with self._lock:
            viewers = list(self._viewers.get(device, {}).values())
        self._send_lease(device, self._lease_s if viewers else 0.0, any(v.frames for v in viewers))

    def _run(self) -> None:
        while not self._stopping.wait(self._lease_s / 3):
            self.renew()
