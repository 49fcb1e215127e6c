"""The studio's own orders (`desired`): signed, numbered, and kept on disk for when the broker forgets them.

The embedded broker keeps retained messages in memory only, so after its restart the hub publishes them again.
After a restart of the studio itself, the hub knows at once which artifacts it has promised to serve.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from slimcast_edge.durable import write_whole
from slimcast_edge.errors import SignatureError, WireError
from slimcast_edge.signing import open_signed
from slimcast_edge.wire import ArtifactRef, Desired

_log = logging.getLogger(__name__)


class OrderBook:
    """The newest order for each device that carries this studio's signature.

    Other studios with the same key share the folder or send their orders over the broker. Orders with a
    foreign signature are none of ours: what they name is not served, and their revision does not bind us.
    `also` are keys of this studio that it signed with before, or will.
    """

    def __init__(
        self, folder: Path, key: Ed25519PrivateKey, also: Callable[[], Sequence[Ed25519PublicKey]] = tuple
    ) -> None:
        self._folder = folder
        self._public_key, self._also = key.public_key(), also
        self._orders: dict[str, tuple[Desired, bytes]] = {}
        self._lock = threading.Lock()

    def load(self) -> list[Desired]:
        """Read what earlier starts have kept; a damaged file is logged and passed over."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                data = path.read_bytes()
                order = self._open(data)
            except (OSError, WireError, SignatureError) as error:
                _log.warning("The kept order %s is not used: %s", path, error)
                continue
            with self._lock:
                self._orders[order.device] = (order, data)
        return [order for order, _ in self.payloads()]

    def keep(self, data: bytes) -> Desired | None:
        """Keep an order if it is ours and not older than the one that is known; return it, else None."""
        try:
            order = self._open(data)
        except SignatureError:
            return None
        with self._lock:
            known = self._orders.get(order.device)
            if known is not None and (order.revision < known[0].revision or known[1] == data):
                return None
            self._orders[order.device] = (order, bytes(data))
            self._write(order.device, data)
        return order

    def drop(self, device: str) -> None:
        """Forget the order of a device whose retained order was deleted."""
        with self._lock:
            if self._orders.pop(device, None) is not None:
                self._path(device).unlink(missing_ok=True)

    def get(self, device: str) -> Desired | None:
        """Return the newest order of ours for a device."""
        known = self.payload(device)
        return known[0] if known is not None else None

    def payload(self, device: str) -> tuple[Desired, bytes] | None:
        """Return the newest order for a device with the bytes that were signed."""
        with self._lock:
            return self._orders.get(device)

    def payloads(self) -> list[tuple[Desired, bytes]]:
        """Return all orders with the bytes that were signed."""
        with self._lock:
            return list(self._orders.values())

    def offered(self, sha256: str) -> ArtifactRef | None:
        """Return the artifact of that hash if an order names it."""
        for order, _ in self.payloads():
            if order.artifact is not None and order.artifact.sha256 == sha256:
                return order.artifact
        return None

    def _open(self, data: bytes) -> Desired:
        try:
            return open_signed(data, self._public_key)
        except SignatureError:
            return open_signed(data, *self._also())

    def _path(self, device: str) -> Path:
        return self._folder / f"{device}.json"

    def _write(self, device: str, data: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Without waiting for the disk for each of many devices: the broker has the order as well.
            write_whole(self._path(device), data)
        except OSError as error:
            # The order stands all the same; only the next start will have to learn it from the broker.
            _log.warning("The order for %s could not be kept in %s: %s", device, self._folder, error)
