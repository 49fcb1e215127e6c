"""Who watches which camera: a callback for each viewer, and one lease a camera for them all."""

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
    camera: str
    frames: bool
    callback: Callable[[Any], None]


class Viewers:
    """Viewers by device, and the thread that renews their leases.

    Args:
        send_lease: publishes a lease to a device: seconds, whether frames are wanted or results alone, and
            for which of its cameras ("": all); called from several threads.

    """

    def __init__(
        self, send_lease: Callable[[str, float, bool, str], object], *, lease_s: float = LEASE_S
    ) -> None:
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
            for camera in self._cameras(device):
                self._send_lease(device, 0.0, False, camera)

    def add_frames(
        self, device: str, viewer: str, callback: FrameCallback, camera: str = ""
    ) -> Callable[[], None]:
        """Call `callback` with each frame of a camera, or of all, until the returned function is called."""
        return self._add(device, _Viewer(name=viewer, camera=camera, frames=True, callback=callback))

    def add_results(
        self, device: str, viewer: str, callback: ResultCallback, camera: str = ""
    ) -> Callable[[], None]:
        """Call `callback` with each result of a camera, or of all, until the returned function is called."""
        return self._add(device, _Viewer(name=viewer, camera=camera, frames=False, callback=callback))

    def watched(self) -> list[str]:
        """Return the devices that somebody watches."""
        with self._lock:
            return list(self._viewers)

    def renew(self, device: str | None = None) -> None:
        """Renew the leases of one device, if it is watched, or of all that are."""
        for watched in self.watched():
            if device in (None, watched):
                for camera in self._cameras(watched):
                    self._lease(watched, camera)

    def deliver(self, device: str, item: FramePacket | Result) -> int:
        """Hand a frame or a result to all that watch for it, and return how many of them failed."""
        frames = isinstance(item, FramePacket)
        camera = item.result.camera if isinstance(item, FramePacket) else item.camera
        with self._lock:
            all_of_it = self._viewers.get(device, {}).values()
            viewers = [v for v in all_of_it if v.frames == frames and v.camera in ("", camera)]
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
        self._lease(device, viewer.camera)
        return lambda: self._remove(device, number)

    def _remove(self, device: str, number: int) -> None:
        with self._lock:
            viewers = self._viewers.get(device, {})
            known = viewers.pop(number, None)
            if not viewers:
                self._viewers.pop(device, None)
        if known is not None:
            self._lease(device, known.camera)

    def _cameras(self, device: str) -> set[str]:
        with self._lock:
            return {viewer.camera for viewer in self._viewers.get(device, {}).values()}

    def _lease(self, device: str, camera: str) -> None:
        with self._lock:
            viewers = [v for v in self._viewers.get(device, {}).values() if v.camera == camera]
        frames = any(viewer.frames for viewer in viewers)
        self._send_lease(device, self._lease_s if viewers else 0.0, frames, camera)

    def _run(self) -> None:
        while not self._stopping.wait(self._lease_s / 3):
            self.renew()
