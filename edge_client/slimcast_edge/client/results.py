"""Results on their way to the broker: at once while the link takes them, else kept and sent late."""

from collections import deque
from typing import TYPE_CHECKING

from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import Result, check_size

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

MAX_UNSENT = 256
"""As many results may wait in the MQTT library, which would keep any number; then the link is stuck."""

_PORTION = 50


class ResultLane:
    """Publishes results; those that nobody would take are kept, the newest `kept` of them.

    In memory: a camera's results would wear out its SD card, and what a power cut loses here is a gap in a
    record that has one anyway. Late results go in their order; new ones do not wait for them.
    """

    def __init__(self, connection: Connection, topic: str, *, kept: int) -> None:
        self._connection, self._topic = connection, topic
        self._late: deque[bytes] = deque(maxlen=kept)
        self._unsent = 0
        self._last: MQTTMessageInfo | None = None
        self._number = 0  # of the connection that `_last` went over
        self.lost = 0

    @property
    def kept(self) -> int:
        """How many results wait."""
        return len(self._late)

    def send(self, result: Result) -> None:
        """Publish a result, or keep it.

        Raises:
            WireError: it is too large.

        """
        if self._takes() and self._publish(result.encode()):
            return
        data = result.model_copy(update={"late": True}).encode()
        check_size("result", data)
        self.lost += len(self._late) == self._late.maxlen
        self._late.append(data)

    def pump(self) -> bool:
        """Publish some of those that are late; return whether more of them could go soon."""
        if not self._late or not self._takes():
            return False
        if self._connection.is_pending(self._last):
            return True
        for _ in range(min(_PORTION, len(self._late))):
            if not self._publish(self._late[0]):
                return False
            self._late.popleft()
        return bool(self._late)

    def _takes(self) -> bool:
        if not self._connection.connected:
            return False
        if self._number != self._connection.number:
            self._number, self._unsent, self._last = self._connection.number, 0, None
        if self._unsent >= MAX_UNSENT and not self._connection.is_pending(self._last):
            self._unsent = 0
        return self._unsent < MAX_UNSENT

    def _publish(self, data: bytes) -> bool:
        info = self._connection.publish(self._topic, data)
        if info is None:
            return False
        self._last = info
        self._unsent += 1
        return True
