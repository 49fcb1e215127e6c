"""Who watches: frames flow only while somebody does."""

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
        self._until: dict[str, tuple[float, bool]] = {}
        self.renewed_at = float("-inf")

    def renew(self, lease: ViewLease) -> None:
        """Start or prolong the lease of a viewer."""
        now = time.monotonic()
        with self._lock:
            self._until = {name: entry for name, entry in self._until.items() if entry[0] > now}
            self.renewed_at = now
            if lease.viewer in self._until or len(self._until) < MAX_VIEWERS:
                self._until[lease.viewer] = (now + lease.lease_s, lease.frames)

    def wanted(self) -> tuple[bool, bool]:
        """Return whether anybody wants results, and whether anybody wants frames."""
        now = time.monotonic()
        with self._lock:
            alive = [frames for until, frames in self._until.values() if until > now]
        return bool(alive), any(alive)
