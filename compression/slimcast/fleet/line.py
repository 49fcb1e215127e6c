"""The studio's line to its broker: what goes out is known to have left, or ends in a sentence."""

import logging
import secrets
import time
from collections.abc import Callable

from slimcast.errors import FleetError
from slimcast.fleet.chunk_server import SEND_TIMEOUT_S
from slimcast.settings import Settings
from slimcast_edge import wire
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import Address, blob_topic, topic

MIN_LEASE_S = 0.05
"""The wire has no shorter lease; one of this length ends the one before."""
_HEARD = tuple(row for s, row in wire.TOPICS.items() if "/" not in s and s != "blob")
_log = logging.getLogger(__name__)


class Line:
    """One connection. `connected`, `problem` and `counters` are those of `Connection`."""

    def __init__(
        self,
        settings: Settings,
        on_message: Callable[[Address, bytes], None],
        on_connect: Callable[[], None],
    ) -> None:
        self._site = settings.site
        self._name = f"hub-{secrets.token_hex(4)}"
        heard = [topic(self._site, "+", row.suffix, "+" if row.has_tail else "") for row in _HEARD]
        self._connection = Connection(
            settings.broker_address(),
            f"slimcast-{self._name}",
            site=self._site,
            subscriptions=heard,
            on_message=on_message,
            on_connect=on_connect,
            will=None,
        )
        self.start, self.stop = self._connection.start, self._connection.stop
        self.counters = self._connection.counters

    @property
    def connected(self) -> bool:
        """Return whether the broker is there now."""
        return self._connection.connected

    @property
    def problem(self) -> str:
        """Why the broker is away, as a sentence; "" while it is there, and before the first try."""
        return self._connection.problem

    def wait(self, timeout_s: float) -> None:
        """Wait for the broker.

        Raises:
            FleetError: it does not answer.
        """
        if not self._connection.wait_connected(timeout_s):
            raise FleetError(self._away())

    def check(self) -> None:
        """Refuse what needs the broker while it is away.

        Raises:
            FleetError: it is away.
        """
        if not self.connected:
            raise FleetError(self._away())

    def send(self, topic: str, payload: bytes) -> None:
        """Publish, and wait until the broker has it.

        Raises:
            FleetError: it did not take the message.
        """
        info = self._connection.publish(topic, payload)
        if info is None:
            raise FleetError(self._away())
        deadline = time.monotonic() + SEND_TIMEOUT_S
        try:
            while self._connection.is_pending(info) and time.monotonic() < deadline:
                info.wait_for_publish(0.2)  # in slices, since a connection that is lost wakes nobody
            sent = info.is_published()
        except (RuntimeError, ValueError):
            sent = False
        if not sent:
            raise FleetError(
                f"The broker at {self._connection.address} did not take the message; nobody knows whether it "
                "arrived. Try again."
            )

    def offer(self, topic: str, payload: bytes) -> None:
        """Publish without waiting; while the broker is away nothing happens."""
        self._connection.publish(topic, payload)

    def send_chunk(self, sha256: str, number: int, data: bytes) -> bool:
        """Publish a chunk of an artifact; return whether the broker has it."""
        try:
            self.send(blob_topic(self._site, sha256, number), data)
        except FleetError as error:
            _log.debug("Chunk %d of %s was not sent: %s", number, sha256[:12], error)
            return False
        return True

    def send_lease(self, device: str, lease_s: float, frames: bool, camera: str) -> None:
        """Ask a device for frames, or for results alone, for so many seconds; `camera`: "" means all."""
        lease = wire.ViewLease(
            viewer=self._name, lease_s=max(lease_s, MIN_LEASE_S), frames=frames, camera=camera
        )
        self.offer(topic(self._site, device, "cmd/view"), lease.encode())

    def _away(self) -> str:
        problem = self.problem or f"No MQTT broker answers at {self._connection.address}."
        return (
            f"{problem} Without SLIMCAST_BROKER_URL, `slimcast app` brings a broker of its own; with it, the "
            "broker that it names must run."
        )
