"""Has a device measure models or single layers, and serves what it is to fetch for that."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from slimcast.errors import FleetError
from slimcast.fleet.chunk_server import ChunkSource
from slimcast.fleet.records import Device
from slimcast.fleet.replies import Replies
from slimcast_edge.measuring.layers import pack_layers
from slimcast_edge.signing import sign
from slimcast_edge.wire import CHUNK_BYTES, ArtifactRef, LayerBundle, Measure, Measured, Reply, topic

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from slimcast.fleet.publisher import Send

_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a device is to measure.

    Attributes:
        models: (sha256, name) of artifacts, in the store or in `contents`.
        contents: artifacts that the store does not have, by sha256.
        layers: ONNX graphs of single layers, at most `wire.MAX_LAYERS`; `beside_bytes` belongs to them.
        seconds: for each model. threads: None: the device's own setting.
        pause: whether the camera's frames go unclassified meanwhile.

    """

    models: tuple[tuple[str, str], ...] = ()
    contents: dict[str, bytes] = field(default_factory=dict)
    layers: tuple[bytes, ...] = ()
    beside_bytes: int = 0
    seconds: float = 2.0
    threads: int | None = None
    pause: bool = False


@dataclass(frozen=True, kw_only=True)
class _Offer:
    refs: dict[str, ArtifactRef]
    contents: dict[str, bytes]


class Measuring:
    """Orders to measure, and the files that they name. Thread-safe.

    Args:
        site: of this studio. key: signs the orders.
        files: the store's artifacts; size: of one of them.
        send: publishes an order. replies: where the answer arrives.
        look: returns a device as it is now.

    """

    def __init__(
        self,
        *,
        site: str,
        key: "Ed25519PrivateKey",
        files: ChunkSource,
        send: "Send",
        replies: Replies,
        look: Callable[[str], Device],
    ) -> None:
        self._site, self._key, self._files = site, key, files
        self._send, self._replies, self._look = send, replies, look
        self._offers: dict[str, _Offer] = {}
        self._lock = threading.Lock()

    def measure(
        self, device: Device, what: Assignment, size_of: Callable[[str], int], timeout_s: float
    ) -> Measured:
        """Have a device measure something, and wait for the figures.

        Raises:
            FleetError: the device is offline, refuses, fails, starts anew meanwhile, or takes too long.

        """
        status = device.status
        if status is None or not status.online:
            raise FleetError(f"{device.name} is offline, so it can measure nothing now.")
        contents = dict(what.contents)
        bundle = _bundle(what, contents)
        models = [_ref(sha256, name, len(contents[sha256]) if sha256 in contents else size_of(sha256))
                  for sha256, name in what.models]  # fmt: skip
        command_id = self._replies.expect(device.name)
        order = Measure(
            id=command_id,
            site=self._site,
            device=device.name,
            session=status.session,
            models=models,
            layers=bundle,
            seconds=what.seconds,
            threads=what.threads,
            pause=what.pause,
        )
        refs = {ref.sha256: ref for ref in [*models, *([bundle.artifact] if bundle else [])]}
        with self._lock:
            self._offers[command_id] = _Offer(refs=refs, contents=contents)
        try:
            self._send(topic(self._site, device.name, "cmd/measure"), sign(order, self._key).encode())
            return _figures(device.name, order, self._wait(device.name, order, timeout_s))
        finally:
            self._replies.forget(command_id)
            with self._lock:
                del self._offers[command_id]

    def offered(self, sha256: str) -> ArtifactRef | None:
        """Return a file that an order which is being carried out names."""
        with self._lock:
            found = (offer.refs[sha256] for offer in self._offers.values() if sha256 in offer.refs)
            return next(found, None)

    # What the chunk server reads from.

    def exists(self, sha256: str) -> bool:
        """Return whether the file is there."""
        return self._content(sha256) is not None or self._files.exists(sha256)

    def read(self, sha256: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return a part of the file."""
        content = self._content(sha256)
        if content is None:
            return self._files.read(sha256, offset, length)
        return content[offset:] if length is None else content[offset : offset + length]

    def _content(self, sha256: str) -> bytes | None:
        with self._lock:
            found = (offer.contents[sha256] for offer in self._offers.values() if sha256 in offer.contents)
            return next(found, None)

    def _wait(self, device: str, order: Measure, timeout_s: float) -> Reply:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            reply = self._replies.wait(order.id, min(_LOOK_EVERY_S, max(0.01, deadline - time.monotonic())))
            if reply is not None:
                return reply
            status = self._look(device).status
            if status is not None and status.online and status.session != order.session:
                raise FleetError(f"{device} was started anew while it measured. Try again.")
        raise FleetError(
            f"{device} did not answer within {timeout_s:g} s. An older client does not "
            "know how to measure for the studio; a slow link needs more time."
        )


def _bundle(what: Assignment, contents: dict[str, bytes]) -> LayerBundle | None:
    """Return the layers as one file, which goes into `contents`."""
    if not what.layers:
        return None
    packed = pack_layers(what.layers)
    sha256 = hashlib.sha256(packed).hexdigest()
    contents[sha256] = packed
    return LayerBundle(
        artifact=_ref(sha256, "layers", len(packed)), count=len(what.layers), beside_bytes=what.beside_bytes
    )


def _ref(sha256: str, name: str, size_bytes: int) -> ArtifactRef:
    return ArtifactRef(sha256=sha256, size_bytes=size_bytes, chunk_bytes=CHUNK_BYTES, name=name[:200])


def _figures(device: str, order: Measure, reply: Reply) -> Measured:
    if not reply.ok:
        raise FleetError(f"{device} did not measure: {reply.error or 'it gave no reason'}")
    try:
        measured = Measured.model_validate(reply.result)
    except ValidationError as error:
        raise FleetError(f"{device} answered with figures that make no sense. Update its client.") from error
    asked = [ref.sha256 for ref in order.models], order.layers.count if order.layers else 0
    if asked != ([figures.sha256 for figures in measured.models], len(measured.layers)):
        raise FleetError(f"{device} answered with figures of something else than was asked.")
    return measured
