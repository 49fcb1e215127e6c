"""The running client, as the deployment and measuring see it."""

from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from slimcast_edge.client.cameras import Cameras
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.outbox import Outbox
from slimcast_edge.deploy.port import Health
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import Desired, Event, Reply, Reported, Want, blob_topic, topic

_KEPT_REPLIES = 8


class ClientHost:
    """Implements the hosts of `deploy.port`, `measuring.desk` and `comparing` on the parts of the client.

    Attributes:
        before_swap: called before a model takes over, so that nothing else holds the device up.

    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        outbox: Outbox,
        cameras: Cameras,
        *,
        site: str,
        device: str,
    ) -> None:
        self._connection, self._engine, self._outbox, self._cameras = connection, engine, outbox, cameras
        self._site, self._device = site, device
        self.last_reported: Reported | None = None
        self.before_swap: Callable[[], None] = lambda: None
        self._listening: Counter[str] = Counter()
        self._replies: deque[Reply] = deque(maxlen=_KEPT_REPLIES)

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached."""
        return self._connection.connected

    def ask(self, want: Want) -> None:
        """Ask for chunks."""
        self._connection.publish(topic(self._site, self._device, "want"), want.encode())

    def listen(self, sha256: str, on: bool) -> None:
        """Start or stop to receive the chunks of an artifact; several may listen to one."""
        chunks = blob_topic(self._site, sha256, "+")
        self._listening[sha256] += 1 if on else -1
        if on and self._listening[sha256] == 1:
            self._connection.subscribe(chunks)
        elif self._listening[sha256] <= 0:
            del self._listening[sha256]
            self._connection.unsubscribe(chunks)

    def report(self, reported: Reported) -> None:
        """Publish the state, and keep it for the next connect."""
        self.last_reported = reported
        self.report_again()

    def report_again(self) -> None:
        """Publish the last state once more."""
        if self.last_reported is not None and self._connection.connected:
            self._connection.publish(topic(self._site, self._device, "reported"), self.last_reported.encode())

    def answer(self, reply: Reply) -> None:
        """Send a reply, or keep it until the broker can be reached again."""
        sent = self._connection.publish(topic(self._site, self._device, "reply", reply.id), reply.encode())
        if sent is None:
            self._replies.append(reply)

    def answer_again(self) -> None:
        """Send the replies that could not be sent."""
        for _ in range(len(self._replies)):
            self.answer(self._replies.popleft())

    def tell(self, event: Event) -> None:
        """Publish an event."""
        self._connection.publish(topic(self._site, self._device, "event"), event.encode())

    def obey(self, order: Desired) -> None:
        """Stream, and let the cameras look, as an order says from now on."""
        self._outbox.obey(order)
        self._cameras.look(order)

    def swap(self, path: Path, entry: ModelEntry) -> None:
        """Open and warm a model, unless it is still open; then let it take over between two frames."""
        self.before_swap()
        self._engine.pause(False)
        self._engine.swap(self._engine.is_previous(entry) or self._engine.open(path, entry))

    def pause(self, on: bool) -> None:
        """Leave the camera's frames unclassified, or classify them again."""
        self._engine.pause(on)

    def unload(self) -> None:
        """Stop classifying."""
        self._engine.swap(None)

    def settle(self) -> None:
        """Let go of the model that was swapped out."""
        self._engine.settle()

    def health(self) -> Health:
        """Return how the current model is doing."""
        return self._engine.health()
