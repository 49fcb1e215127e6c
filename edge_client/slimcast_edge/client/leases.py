"""Who watches which camera: frames flow only while somebody does."""

import threading
import time

from slimcast_edge.wire import ViewLease

MAX_VIEWERS = 100


class Leases:
    """Leases of viewers; each ends by itself unless it is renewed.

    Attributes:
        renewed_at: when a viewer was heard of last; monotonic, s.

    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[tuple[str, str], tuple[float, bool]] = {}  # by viewer and camera
        self.renewed_at = float("-inf")

    def renew(self, lease: ViewLease) -> None:
        """Start or prolong the lease of a viewer on a camera, or on all of them."""
        now, key = time.monotonic(), (lease.viewer, lease.camera)
        with self._lock:
            self._until = {name: entry for name, entry in self._until.items() if entry[0] > now}
            self.renewed_at = now
            if key in self._until or len(self._until) < MAX_VIEWERS:
                self._until[key] = (now + lease.lease_s, lease.frames)

    def wanted(self, camera: str = "") -> tuple[bool, bool]:
        """Return whether anybody wants results of a camera, and whether anybody wants its frames."""
        now = time.monotonic()
        with self._lock:
            alive = [
                frames
                for (_, watched), (until, frames) in self._until.items()
                if until > now and watched in ("", camera)
            ]
        return bool(alive), any(alive)
