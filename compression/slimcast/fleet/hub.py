"""The fleet hub: one MQTT connection through which the studio sees, watches and directs its devices."""

from collections import Counter
from collections.abc import Callable

from slimcast.errors import FleetError
from slimcast.fleet.arrivals import Arrivals, Desks
from slimcast.fleet.asking import Asking
from slimcast.fleet.board import Board
from slimcast.fleet.chunk_server import ChunkServer
from slimcast.fleet.comparing import Comparing
from slimcast.fleet.departures import Departures
from slimcast.fleet.fresh import FreshSet
from slimcast.fleet.inbox import Inbox
from slimcast.fleet.keys import key_change, other_keys, studio_key
from slimcast.fleet.line import Line
from slimcast.fleet.measuring import Assignment, Measuring
from slimcast.fleet.orders import OrderBook
from slimcast.fleet.publisher import Change, Publisher
from slimcast.fleet.records import Device, FramePacket, source_name
from slimcast.fleet.replies import Replies
from slimcast.fleet.snapshots import SnapshotShelf
from slimcast.fleet.viewers import FrameCallback, ResultCallback, Viewers
from slimcast.fleet.withdrawal import check_allowed
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge import wire
from slimcast_edge.wire import Address


class FleetHub:
    """Devices, their frames, orders to them, and the artifacts that they fetch. Thread-safe.

    It runs while the broker is away, too: `connected` is False then, reading shows what is known, and what
    needs the broker raises `FleetError` at once. When the broker comes back, so does everything else.

    Attributes:
        comparing: second models that devices answer with beside their own.
        forget, turn_out, readmit: see `Departures`. command: see `Asking`.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._site, self._store = settings.site, store
        self._counters: Counter[str] = Counter()
        self._line = Line(settings, self._on_message, self._on_connect)
        self._board, self._replies = Board(self._site, self._counters), Replies()
        self._frames: dict[str, FramePacket] = {}
        self._snapshots = SnapshotShelf()
        self._withdrawn = FreshSet(lambda: [one.artifact for one in store.withdrawals.all()])
        key = studio_key(settings)
        self.public_key = key.public_key()
        self._orders = OrderBook(
            settings.home / "orders" / settings.site, key, also=lambda: other_keys(settings)
        )
        self._publisher = Publisher(
            site=self._site,
            key=key,
            orders=self._orders,
            send=self._line.send,
            next_revision=store.next_revision,
            key_change=lambda: key_change(settings),
        )
        self._viewers = Viewers(self._line.send_lease)
        self._measuring = Measuring(
            site=self._site,
            key=key,
            files=store.artifacts,
            send=self._line.send,
            replies=self._replies,
            look=self.device,
        )
        self.comparing = Comparing(
            site=self._site,
            key=key,
            send=self._line.send,
            replies=self._replies,
            look=self._orderable,
            size_of=self._size_to_send,
        )
        self._chunks = ChunkServer(
            source=self._measuring,
            send=self._line.send_chunk,
            offered=self._offered,
            counters=self._counters,
        )
        self._arrivals = Arrivals(
            self._site,
            Desks(
                line=self._line,
                board=self._board,
                orders=self._orders,
                publisher=self._publisher,
                replies=self._replies,
                chunks=self._chunks,
                viewers=self._viewers,
                comparing=self.comparing,
                snapshots=self._snapshots,
                frames=self._frames,
            ),
            self._counters,
        )
        self._inbox = Inbox(self._site, self._arrivals, self._counters)
        departures = Departures(self._site, self._line, self._board, store.expulsions, self._counters)
        self._departures = departures
        self.forget, self.turn_out, self.readmit = departures.forget, departures.turn_out, departures.readmit
        self.command = Asking(self._site, self._line, self._board, self._replies).command

    def start(self) -> None:
        """Start to connect; returns at once, whether or not a broker answers."""
        for order in self._orders.load():
            self._board.apply(Address(site=self._site, device=order.device, suffix="desired"), order)
        self._viewers.start()
        self._chunks.start()
        self.comparing.start()
        self._line.start()

    def stop(self) -> None:
        """Give back the leases and disconnect."""
        self._publisher.stop()
        self.comparing.stop()
        self._viewers.stop()
        self._chunks.stop()
        self._line.stop()

    @property
    def connected(self) -> bool:
        """Return whether the broker is there now."""
        return self._line.connected

    @property
    def broker_problem(self) -> str:
        """Why the broker is away, as a sentence; "" while it is there, and before the first try."""
        return self._line.problem

    @property
    def counters(self) -> dict[str, int]:
        """Return what has been counted since the start."""
        return dict(self._counters + self._line.counters)

    def wait_connected(self, timeout_s: float) -> None:
        """Wait for the broker.

        Raises:
            FleetError: it does not answer.
        """
        self._line.wait(timeout_s)

    # --- what is known

    def devices(self) -> list[Device]:
        """Return all devices that have been heard of, by name."""
        return self._board.all()

    def device(self, name: str) -> Device:
        """Return one device.

        Raises:
            FleetError: nothing is known of it; lists those that are known.
        """
        return self._board.get(name)

    def latest_frame(self, device: str, camera: str = "") -> FramePacket | None:
        """Return a camera's newest frame, None when none has come. They come only while somebody watches."""
        return self._frames.get(source_name(device, camera))

    def snapshots(self, device: str) -> list[FramePacket]:
        """Return the pictures that a device has sent since the hub started, newest first.

        They are a dozen at most. The command ``snapshot`` takes one more; with ``{"newest": N}`` the device
        sends those that it has kept.
        """
        return self._snapshots.of(device)

    def watch(
        self, device: str, viewer: str, callback: FrameCallback, camera: str = ""
    ) -> Callable[[], None]:
        """Call `callback` with each frame of a device as it comes, until the returned function is called.

        `camera`: which of several; without it, all of them.

        It is called on the hub's own thread: hand it on, and return. A device sends the newest frame as
        soon as the last one has left, so on a slow network there are fewer frames than results.
        """
        return self._viewers.add_frames(device, viewer, callback, camera)

    def watch_results(
        self, device: str, viewer: str, callback: ResultCallback, camera: str = ""
    ) -> Callable[[], None]:
        """Call `callback` with the result of each frame that a device classifies; else like `watch`."""
        return self._viewers.add_results(device, viewer, callback, camera)

    # --- orders and commands

    def publish(self, device: str, artifact_sha256: str, name: str) -> int:
        """Order a device to run an artifact, and serve it; returns the revision of the order.

        Raises:
            FleetError: the broker is away, the device is unknown, it has pinned another studio's key, or the
                artifact has been withdrawn.
            StoreError: the artifact is not in the store.
        """
        self._line.check()
        target, size_bytes = self.device(device), self._size_to_send(artifact_sha256)
        ref = wire.ArtifactRef(
            sha256=artifact_sha256, size_bytes=size_bytes, chunk_bytes=wire.CHUNK_BYTES, name=name[:200]
        )
        return self._publisher.order(target, Change(artifact=ref))

    def set_stream(self, device: str, stream: wire.StreamSettings | None, camera: str = "") -> int:
        """Order a device, or one of its cameras, to stream in another way; its artifact stays.

        `camera`: which of several; None as `stream` has it stream as the device does. Returns the revision of
        the order.

        Raises:
            FleetError: the broker is away, the device or the camera is unknown, or the device has pinned
                another studio's key.
        """
        self._line.check()
        target = self._with_camera(device, camera)
        return self._publisher.order(target, Change(camera=camera, stream=stream, own_stream=stream is None))

    def set_camera(self, device: str, view: wire.CameraView | None, camera: str = "") -> int:
        """Order a camera to look in another way, or (None) as its own settings say; all else stays.

        `camera`: which of several. Returns the revision of the order.

        Raises:
            FleetError: as `set_stream`.
        """
        self._line.check()
        target = self._with_camera(device, camera)
        return self._publisher.order(target, Change(camera=camera, view=view, own_view=view is None))

    def _with_camera(self, name: str, camera: str) -> Device:
        device = self.device(name)
        if camera and camera not in device.cameras:
            known = ", ".join(device.cameras) or "one, without a name"
            raise FleetError(f"{name} has no camera {camera[:80]!r}. It has: {known}.")
        return device

    def own_order(self, device: str) -> wire.Desired | None:
        """Return the newest order that this studio, or another with its key, has given a device."""
        return self._orders.get(device)

    def repeat_order(self, device: str) -> None:
        """Publish the newest order for a device once more.

        Raises:
            FleetError: the broker did not take it.
        """
        self._publisher.repeat(device)

    def renew_order(self, device: str) -> int:
        """Give a device its order once more, with what the studio has to say of its keys; as `set_stream`."""
        self._line.check()
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
        return self._board.wait_settled(device, revision, timeout_s, on_change)

    def measure(self, device: str, what: Assignment, timeout_s: float) -> wire.Measured:
        """Have a device fetch and measure models or layers, and return its figures.

        Raises:
            FleetError: the broker is away, the device is unknown or offline, or it cannot do it.
            StoreError: an artifact is not in the store.
        """
        self._line.check()
        target = self._orderable(device)
        return self._measuring.measure(target, what, self._store.artifacts.size, timeout_s)

    def _orderable(self, device: str) -> Device:
        target = self.device(device)
        self._publisher.check_key(target)
        return target

    def _size_to_send(self, sha256: str) -> int:
        check_allowed(self._store, sha256)
        return self._store.artifacts.size(sha256)

    def _on_message(self, address: Address, data: bytes) -> None:
        if self._departures.turns_away(address, data):
            return
        self._inbox.on_message(address, data)
        if not data:
            self._departures.cleared(address)

    def _on_connect(self) -> None:
        self._publisher.connected()
        self._viewers.renew()

    def _offered(self, sha256: str) -> wire.ArtifactRef | None:
        if sha256 in self._withdrawn:
            return None
        desks = (self._orders, self._measuring, self.comparing)
        return next((ref for desk in desks if (ref := desk.offered(sha256)) is not None), None)
