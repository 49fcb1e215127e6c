"""Real brokers, and a device that does what a test tells it to."""

import socket
import threading
import time
from pathlib import Path

from slimcast.fleet import EmbeddedBroker
from slimcast.settings import Settings
from slimcast_edge import wire
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import Address, topic
from support_mosquitto import Mosquitto
from support_wait import wait_for


def studio_settings(home: Path, broker_port: int, site: str = "lab", broker_url: str = "") -> Settings:
    environment = {"HOME": str(home), "BROKER_PORT": str(broker_port), "SITE": site, "BROKER_URL": broker_url}
    return Settings.from_environment({f"SLIMCAST_{name}": value for name, value in environment.items()})


class EmbeddedServer:
    """The embedded broker, for tests that do not care which one it is."""

    def __init__(self, settings: Settings) -> None:
        self.broker, self.port = EmbeddedBroker(settings), settings.broker_port

    def start(self) -> None:
        self.broker.start()

    def stop(self) -> None:
        self.broker.stop()


def make_broker(kind: str, settings: Settings, folder: Path) -> EmbeddedServer | Mosquitto:
    """Return a broker for `settings.broker_port`, not started; skips the test where there is no Mosquitto."""
    if kind == "embedded":
        return EmbeddedServer(settings)
    return Mosquitto(folder, settings.broker_port)


class ScriptedDevice:
    """Speaks the wire protocol, but does only what the test says."""

    def __init__(self, settings: Settings, name: str = "cam1", session: str = "s1") -> None:
        self.site, self.name, self.session = settings.site, name, session
        self.received: list[tuple[Address, bytes]] = []
        self._arrived = threading.Condition()
        ended = wire.Status(online=False, session=session, since=time.time())
        self.connection = Connection(
            settings.effective_broker_url,
            f"test-{name}-{session}",
            site=settings.site,
            subscriptions=[self.topic("desired"), self.topic("cmd/view"), self.topic("cmd/benchmark")],
            on_message=self._on_message,
            on_connect=None,
            will=(self.topic("status"), ended.encode()),
        )

    def topic(self, suffix: str, tail: str = "") -> str:
        return topic(self.site, self.name, suffix, tail)

    def start(self) -> "ScriptedDevice":
        self.connection.start()
        assert self.connection.wait_connected(10)
        return self

    def send(self, suffix: str, payload: wire.Payload | bytes, tail: str = "") -> None:
        data = payload if isinstance(payload, bytes) else payload.encode()
        self.send_raw(self.topic(suffix, tail), data)

    def send_raw(self, to: str, data: bytes) -> None:
        """Publish past our own checks."""
        client = self.connection._client
        assert client is not None
        info = wire.TOPICS.get("/".join(to.split("/")[4:]))
        retain, qos = (info.retained, info.qos) if info else (False, 0)
        client.publish(to, data, qos=qos, retain=retain)

    def come_online(self) -> None:
        self.send("status", wire.Status(online=True, session=self.session, since=time.time()))

    def report(self, revision: int, state: wire.DeviceState, **more) -> None:
        reported = {"session": self.session, "revision": revision, "state": state, "at": time.time()} | more
        self.send("reported", wire.Reported.model_validate(reported))

    def messages(self, suffix: str) -> list[tuple[Address, bytes]]:
        with self._arrived:
            return [message for message in self.received if message[0].suffix == suffix]

    def wait_message(self, suffix: str, count: int = 1) -> list[tuple[Address, bytes]]:
        wait_for(lambda: len(self.messages(suffix)) >= count, f"{count} x {suffix} at {self.name}")
        return self.messages(suffix)

    def vanish(self) -> None:
        """Close the socket without a goodbye, so that the broker publishes the will."""
        self.connection._stopping.set()
        self.connection._client.socket().shutdown(socket.SHUT_RDWR)
        self.connection.stop()

    def stop(self) -> None:
        self.connection.stop()

    def _on_message(self, address: Address, data: bytes) -> None:
        with self._arrived:
            self.received.append((address, data))
            self._arrived.notify_all()
