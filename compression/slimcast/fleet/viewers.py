"""Who watches which device: a callback for each viewer, and one lease for them all."""

import itertools
import logging
import threading
from collections.abc import Callable

from slimcast.fleet.records import FramePacket

LEASE_S = 6.0
_log = logging.getLogger(__name__)

Callback = Callable[[FramePacket], None]


class Viewers:
    """Viewers by device, and the thread that renews their leases.

    Args:
        send_lease: publishes a lease of so many seconds to a device; called from several threads.

    """

    def __init__(self, send_lease: Callable[[str, float], None], *, lease_s: float = LEASE_S) -> None:
        self._send_lease, self._lease_s = send_lease, lease_s
        self._callbacks: dict[str, dict[int, tuple[str, Callback]]] = {}
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
            self._send_lease(device, 0.0)

    def add(self, device: str, viewer: str, callback: Callback) -> Callable[[], None]:
        """Call `callback` with each frame of a device until the returned function is called."""
        number = next(self._numbers)
        with self._lock:
            self._callbacks.setdefault(device, {})[number] = (viewer, callback)
        self._send_lease(device, self._lease_s)
        return lambda: self._remove(device, number)

    def watched(self) -> list[str]:
        """Return the devices that somebody watches."""
        with self._lock:
            return [device for device, callbacks in self._callbacks.items() if callbacks]

    def names(self, device: str) -> list[str]:
        """Return who watches a device."""
        with self._lock:
            return sorted(viewer for viewer, _ in self._callbacks.get(device, {}).values())

    def renew(self, device: str | None = None) -> None:
        """Renew the lease of one device, if it is watched, or of all that are."""
        for watched in self.watched():
            if device in (None, watched):
                self._send_lease(watched, self._lease_s)

    def deliver(self, packet: FramePacket) -> int:
        """Hand a frame to all that watch its device, and return how many of them failed."""
        with self._lock:
            callbacks = list(self._callbacks.get(packet.device, {}).values())
        failed = 0
        for viewer, callback in callbacks:
            try:
                callback(packet)
            except Exception:
                failed += 1
                _log.exception("Viewer %r of %s failed on a frame.", viewer, packet.device)
        return failed

    def _remove(self, device: str, number: int) -> None:
        with self._lock:
            callbacks = self._callbacks.get(device, {})
            last = callbacks.pop(number, None) is not None and not callbacks
            if not callbacks:
                self._callbacks.pop(device, None)
        if last:
            self._send_lease(device, 0.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._lease_s / 3):
            self.renew()
