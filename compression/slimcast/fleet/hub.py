"""The fleet hub: one MQTT connection through which the studio sees, watches and directs its devices."""

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from slimcast.errors import FleetError
from slimcast.fleet.chunk_server import SEND_TIMEOUT_S, ChunkServer
from slimcast.fleet.inbox import Inbox
from slimcast.fleet.keys import key_change, other_keys, studio_key
from slimcast.fleet.measuring import Assignment, Measuring
from slimcast.fleet.orders import OrderBook
from slimcast.fleet.publisher import Publisher
from slimcast.fleet.records import Device, FramePacket
from slimcast.fleet.registry import DeviceRegistry
from slimcast.fleet.replies import Replies
from slimcast.fleet.snapshots import SnapshotShelf
from slimcast.fleet.viewers import FrameCallback, ResultCallback, Viewers
from slimcast.fleet.withdrawal import WithdrawnNow, check_allowed
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge import wire
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import Address, Payload, blob_topic, topic

MIN_LEASE_S = 0.05
"""The wire has no shorter lease; one of this length ends the one before."""
COMMANDS = tuple(
    name.removeprefix("cmd/") for name, info in wire.TOPICS.items() if info.payload is wire.Command
)
_HEARD = tuple(s for s in wire.TOPICS if "/" not in s and s not in {"reply", "blob"})
RETAINED = tuple(suffix for suffix, info in wire.TOPICS.items() if info.retained)
_log = logging.getLogger(__name__)


class FleetHub:
    """Devices, their frames, orders to them, and the artifacts that they fetch. Thread-safe.

    It runs while the broker is away, too: `connected` is False then, reading shows what is known, and what
    needs the broker raises `FleetError` at once. When the broker comes back, so does everything else.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._site, self._store = settings.site, store
        self._name = f"hub-{secrets.token_hex(4)}"
        self._counters: Counter[str] = Counter()
        self._registry, self._replies = DeviceRegistry(), Replies()
        self._frames: dict[str, FramePacket] = {}
        self._snapshots = SnapshotShelf()
        self._changed = threading.Condition()
        self._withdrawn = WithdrawnNow(store)
        key = studio_key(settings)
        self.public_key = key.public_key()
        self._orders = OrderBook(
            settings.home / "orders" / settings.site, key, also=lambda: other_keys(settings)
        )
        self._publisher = Publisher(
            site=self._site,
            key=key,
            orders=self._orders,
            send=self._send,
            next_revision=store.next_revision,
            key_change=lambda: key_change(settings),
        )
        self._viewers = Viewers(self._send_lease)
        self._measuring = Measuring(
            site=self._site,
            key=key,
            files=store.artifacts,
            send=self._send,
            replies=self._replies,
            look=self.device,
        )
        self._chunks = ChunkServer(
            source=self._measuring,
            send=self._send_chunk,
            offered=self._offered,
            counters=self._counters,
        )
        heard = [topic(self._site, "+", suffix) for suffix in _HEARD]
        self._connection = Connection(
            settings.broker_address(),
            f"slimcast-{self._name}",
            site=self._site,
            subscriptions=[*heard, topic(self._site, "+", "reply", "+")],
            on_message=Inbox(self._site, self, self._counters).on_message,
            on_connect=self._on_connect,
            will=None,
        )

    def start(self) -> None:
        """Start to connect; returns at once, whether or not a broker answers."""
        for order in self._orders.load():
            self._registry.apply(Address(site=self._site, device=order.device, suffix="desired"), order)
        self._viewers.start()
        self._chunks.start()
        self._connection.start()

    def stop(self) -> None:
        """Give back the leases and disconnect."""
        self._publisher.stop()
        self._viewers.stop()
        self._chunks.stop()
        self._connection.stop()

    @property
    def connected(self) -> bool:
        """Return whether the broker is there now."""
        return self._connection.connected

    @property
    def broker_problem(self) -> str:
        """Why the broker is away, as a sentence; "" while it is there, and before the first try."""
        return self._connection.problem

    @property
    def counters(self) -> dict[str, int]:
        """Return what has been counted since the start."""
        return dict(self._counters + self._connection.counters)

    def wait_connected(self, timeout_s: float) -> None:
        """Wait for the broker.

        Raises:
            FleetError: it does not answer.
        """
        if not self._connection.wait_connected(timeout_s):
            raise FleetError(self._away())

    # --- what is known

    def devices(self) -> list[Device]:
        """Return all devices that have been heard of, by name."""
        with self._changed:
            return self._registry.all()

    def device(self, name: str) -> Device:
        """Return one device.

        Raises:
            FleetError: nothing is known of it; lists those that are known.
        """
        with self._changed:
            device, known = self._registry.get(name), [device.name for device in self._registry.all()]
        if device is None:
            names = ", ".join(known) or "none; start one with `slimcast-edge run --config edge.toml`"
            raise FleetError(
                f"Nothing has been heard of a device {name[:80]!r} at site {self._site!r}. Known: {names}."
            )
        return device

    def latest_frame(self, device: str) -> FramePacket | None:
        """Return a device's newest frame, None when none has come. They come only while somebody watches."""
        return self._frames.get(device)

    def snapshots(self, device: str) -> list[FramePacket]:
        """Return the pictures that a device has sent since the hub started, newest first.

        They are a dozen at most. The command ``snapshot`` takes one more; with ``{"newest": N}`` the device
        sends those that it has kept.
        """
        return self._snapshots.of(device)

    def watch(self, device: str, viewer: str, callback: FrameCallback) -> Callable[[], None]:
        """Call `callback` with each frame of a device as it comes, until the returned function is called.

        It is called on the hub's own thread: hand it on, and return. A device sends the newest frame as
        soon as the last one has left, so on a slow network there are fewer frames than results.
        """
        return self._viewers.add_frames(device, viewer, callback)

    def watch_results(self, device: str, viewer: str, callback: ResultCallback) -> Callable[[], None]:
        """Call `callback` with the result of each frame that a device classifies; else like `watch`."""
        return self._viewers.add_results(device, viewer, callback)

    # --- orders and commands

    def publish(self, device: str, artifact_sha256: str, name: str) -> int:
        """Order a device to run an artifact, and serve it; returns the revision of the order.

        Raises:
            FleetError: the broker is away, the device is unknown, it has pinned another studio's key, or the
                artifact has been withdrawn.
            StoreError: the artifact is not in the store.
        """
        self._check_connected()
        check_allowed(self._store, artifact_sha256)
        target = self.device(device)
        size_bytes = self._store.artifacts.size(artifact_sha256)
        ref = wire.ArtifactRef(
            sha256=artifact_sha256, size_bytes=size_bytes, chunk_bytes=wire.CHUNK_BYTES, name=name[:200]
        )
        return self._publisher.order(target, artifact=ref)

    def set_stream(self, device: str, stream: wire.StreamSettings) -> int:
        """Order a device to stream in another way; its artifact stays. Returns the revision of the order.

        Raises:
            FleetError: the broker is away, the device is unknown, or it has pinned another studio's key.
        """
        self._check_connected()
        return self._publisher.order(self.device(device), stream=stream)

    def set_camera(self, device: str, camera: wire.CameraView) -> int:
        """Order a camera to look in another way; all else stays. Returns the revision of the order.

        Raises:
            FleetError: the broker is away, the device is unknown, or it has pinned another studio's key.
        """
        self._check_connected()
        return self._publisher.order(self.device(device), camera=camera)

    def own_order(self, device: str) -> wire.Desired | None:
        """Return the newest order that this studio, or another with its key, has given a device."""
        return self._orders.get(device)

    def repeat_order(self, device: str) -> None:
        """Publish the newest order for a device once more.

        Raises:
            FleetError: the broker did not take it.
        """
        self._publisher.repeat(device)

    def forget(self, device: str) -> None:
        """Delete all that the broker retains of a device; what is known of it here goes with that.

        Raises:
            FleetError: the broker is away, or the device is online and would be back at once.
        """
        self._check_connected()
        with self._changed:
            known = self._registry.get(device)
        if known is not None and known.online:
            raise FleetError(f"{device} is online. Stop its client first, or it is back within seconds.")
        for suffix in RETAINED:
            self._send(topic(self._site, device, suffix), b"")
            # The broker says so, too; but whoever has asked should see it done.
            self.on_cleared(Address(site=self._site, device=device, suffix=suffix))

    def renew_order(self, device: str) -> int:
        """Give a device its order once more, with what the studio has to say of its keys; as `set_stream`."""
        self._check_connected()
        return self._publisher.order(self.device(device))

    def wait_settled(
        self,
        device: str,
        revision: int,
        timeout_s: float,
        on_change: Callable[[Device], None] | None = None,
    ) -> Device:
        """Wait until a device has done with an order, one way or the other, and return what it is then.

        `on_change` is called in this thread, first with the state as it is.

        Raises:
            FleetError: the device is unknown, or has not settled in time; says what was last heard of it.
        """
        deadline, shown = time.monotonic() + timeout_s, None
        while True:
            now = self.device(device)
            if on_change is not None and (now.online, now.reported) != shown:
                on_change(now)
            shown = (now.online, now.reported)
            if _settled(now, revision):
                return now
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise FleetError(
                    f"{device} was not done with revision {revision} after {timeout_s:g} s. {last_heard(now)}"
                )
            with self._changed:
                if self._registry.get(device) is now:
                    self._changed.wait(remaining_s)

    def command(self, device: str, name: str, args: dict[str, Any], timeout_s: float) -> wire.Reply:
        """Send a command and return its reply, which may say that it failed.

        Raises:
            FleetError: the broker is away, the device or the command is unknown, or no reply came in time.
        """
        if name not in COMMANDS:
            raise FleetError(f"There is no command {name[:80]!r}. Known: {', '.join(COMMANDS)}.")
        self._check_connected()
        target = self.device(device)
        command_id = self._replies.expect(target.name)
        try:
            payload = wire.Command(id=command_id, args=args).encode()
            self._send(topic(self._site, target.name, f"cmd/{name}"), payload)
            reply = self._replies.wait(command_id, timeout_s)
        finally:
            self._replies.forget(command_id)
        if reply is None:
            now = last_heard(self.device(device))
            raise FleetError(f"{device} did not answer {name!r} within {timeout_s:g} s. {now}")
        return reply

    def measure(self, device: str, what: Assignment, timeout_s: float) -> wire.Measured:
        """Have a device fetch and measure models or layers, and return its figures.

        Raises:
            FleetError: the broker is away, the device is unknown or offline, or it cannot do it.
            StoreError: an artifact is not in the store.
        """
        self._check_connected()
        target = self.device(device)
        self._publisher.check_key(target)
        return self._measuring.measure(target, what, self._store.artifacts.size, timeout_s)

    # --- what comes in (on the connection's worker thread, checked by the inbox)

    def on_frame(self, address: Address, jpeg: bytes, result: wire.Result) -> None:
        """Keep the newest frame and hand it to those who watch."""
        self._apply(address, result)
        self._counters["frames"] += 1
        packet = FramePacket(device=address.device, jpeg=jpeg, result=result, received_at=time.time())
        self._frames[address.device] = packet
        self._counters["viewer_errors"] += self._viewers.deliver(address.device, packet)

    def on_snapshot(self, address: Address, jpeg: bytes, result: wire.Result) -> None:
        """Keep a picture; it may be an old one, so it says nothing of how the device is now."""
        self._counters["snapshots"] += 1
        self._snapshots.add(
            FramePacket(device=address.device, jpeg=jpeg, result=result, received_at=time.time())
        )

    def on_payload(self, address: Address, payload: Payload, data: bytes) -> None:
        """Take in a state, or serve what is asked for."""
        match payload:
            case wire.Want():
                self._chunks.want(address.device, payload)
                return
            case wire.Reply():
                self._replies.arrived(address.device, address.tail, payload)
                return
            case wire.Desired() if payload.site == self._site:
                if self._orders.keep(data) is not None or self._is_ours(payload):
                    self._publisher.heard(address.device, payload.revision)
                else:
                    self._restore_order(payload)
        self._apply(address, payload)
        if isinstance(payload, wire.Result):
            self._counters["results"] += 1
            self._counters["viewer_errors"] += self._viewers.deliver(address.device, payload)
        if isinstance(payload, wire.Status) and payload.online:
            # It has just connected and knows of no lease; a viewer need not wait for the next renewal.
            self._viewers.renew(address.device)

    def on_cleared(self, address: Address) -> None:
        """Forget a state that was deleted from the broker."""
        if address.suffix == "desired":
            self._orders.drop(address.device)
        with self._changed:
            self._registry.clear(address)
            self._changed.notify_all()

    def _apply(self, address: Address, payload: Payload) -> None:
        with self._changed:
            if self._registry.apply(address, payload) is None:
                self._counters["dropped_outdated"] += 1
            self._changed.notify_all()

    def _is_ours(self, order: wire.Desired) -> bool:
        known = self._orders.get(order.device)
        return known is not None and known.signature == order.signature

    def _restore_order(self, heard: wire.Desired) -> None:
        """Of two studios that publish at once, the later order may reach the broker first: it counts."""
        known = self._orders.payload(heard.device)
        if known is not None and known[0].revision > heard.revision:
            self._connection.publish(topic(self._site, heard.device, "desired"), known[1])

    def _offered(self, sha256: str) -> wire.ArtifactRef | None:
        if sha256 in self._withdrawn:
            return None
        return self._orders.offered(sha256) or self._measuring.offered(sha256)

    # --- what goes out

    def _on_connect(self) -> None:
        self._publisher.connected()
        self._viewers.renew()

    def _check_connected(self) -> None:
        if not self.connected:
            raise FleetError(self._away())

    def _away(self) -> str:
        problem = self.broker_problem or f"No MQTT broker answers at {self._connection.address}."
        return (
            f"{problem} Without SLIMCAST_BROKER_URL, `slimcast app` brings a broker of its own; with it, the "
            "broker that it names must run."
        )

    def _send(self, topic: str, payload: bytes) -> None:
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

    def _send_chunk(self, sha256: str, number: int, data: bytes) -> bool:
        try:
            self._send(blob_topic(self._site, sha256, number), data)
        except FleetError as error:
            _log.debug("Chunk %d of %s was not sent: %s", number, sha256[:12], error)
            return False
        return True

    def _send_lease(self, device: str, lease_s: float, frames: bool) -> None:
        lease = wire.ViewLease(viewer=self._name, lease_s=max(lease_s, MIN_LEASE_S), frames=frames)
        self._connection.publish(topic(self._site, device, "cmd/view"), lease.encode())


def last_heard(device: Device) -> str:
    """Return what was last heard of a device, as a sentence."""
    where = "online" if device.online else "offline"
    if device.reported is None:
        return f"It is {where} and has reported nothing."
    reported = device.reported
    why = f" ({reported.reason}: {reported.message})" if reported.reason else ""
    return f"It is {where}; last it reported {reported.state} at revision {reported.revision}{why}."


def _settled(device: Device, revision: int) -> bool:
    reported = device.reported
    return reported is not None and reported.revision >= revision and reported.state.is_settled()
