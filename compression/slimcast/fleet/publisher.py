"""Gives orders to devices: numbers, signs and publishes them, and repeats what a broker has forgotten."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast.errors import FleetError
from slimcast.fleet.keys import KeyChange
from slimcast.fleet.orders import OrderBook
from slimcast.fleet.records import Device
from slimcast_edge.errors import WireError
from slimcast_edge.signing import fingerprint, public_key_to_text, sign
from slimcast_edge.wire import ArtifactRef, CameraView, Desired, StreamSettings, check_size, topic

RETAINED_GRACE_S = 1.0
"""How long after connecting the broker has had time to hand over the orders that it retains."""
_log = logging.getLogger(__name__)


class Send(Protocol):
    """Publishes with the topic's own QoS and retain flag; `FleetError` when the broker did not take it."""

    def __call__(self, topic: str, payload: bytes) -> None:
        """Publish."""


class Publisher:
    """Orders of one studio.

    Args:
        send: publishes an order.
        next_revision: the store's counter for a device.
        key_change: what orders say of the studio's keys, now.

    """

    def __init__(
        self,
        *,
        site: str,
        key: Ed25519PrivateKey,
        orders: OrderBook,
        send: Send,
        next_revision: Callable[[str], int],
        key_change: Callable[[], KeyChange] = KeyChange,
    ) -> None:
        self._site, self._key, self._orders = site, key, orders
        self._send, self._next_revision, self._key_change = send, next_revision, key_change
        self._retained: dict[str, int] = {}
        self._timer: threading.Timer | None = None
        self._one_at_a_time = threading.Lock()

    def order(
        self,
        device: Device,
        *,
        artifact: ArtifactRef | None = None,
        stream: StreamSettings | None = None,
        camera: CameraView | None = None,
    ) -> int:
        """Change a device's order: what is None stays as it is. Returns the new revision.

        Raises:
            FleetError: the device would refuse the order, or the broker did not take it.
        """
        self.check_key(device)
        with self._one_at_a_time:
            last = self._orders.get(device.name)
            change = self._key_change()
            order = Desired(
                site=self._site,
                device=device.name,
                revision=self._revision(device, last),
                artifact=artifact or (last.artifact if last else None),
                stream=stream or (last.stream if last else StreamSettings()),
                next_key=change.next_key,
                retired_keys=list(change.retired),
                camera=camera or (last.camera if last else None),
            )
            data = sign(order, self._key).encode()
            try:
                check_size("desired", data)
            except WireError as error:
                raise FleetError(f"The order for {device.name} is too long: {error}") from error
            self._send(topic(self._site, device.name, "desired"), data)
            self._orders.keep(data)
        return order.revision

    def repeat(self, device: str) -> None:
        """Publish the newest order for a device once more, if there is one.

        Raises:
            FleetError: the broker did not take it.
        """
        for order, data in self._orders.payloads():
            if order.device == device:
                self._send(topic(self._site, device, "desired"), data)

    def heard(self, device: str, revision: int) -> None:
        """Take note of an order that the broker has handed over."""
        self._retained[device] = max(revision, self._retained.get(device, 0))

    def connected(self) -> None:
        """Compare, a moment from now, what the broker retains with the orders that are known."""
        self.stop()
        self._retained = {}
        self._timer = threading.Timer(RETAINED_GRACE_S, self.repeat_forgotten)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Give up the comparison, if one is to come."""
        if self._timer is not None:
            self._timer.cancel()

    def repeat_forgotten(self) -> None:
        """Publish the orders again that the broker does not have, or has only in an older revision."""
        for order, data in self._orders.payloads():
            if self._retained.get(order.device, 0) >= order.revision:
                continue
            try:
                self._send(topic(self._site, order.device, "desired"), data)
            except FleetError as error:
                _log.warning("The order for %s could not be repeated: %s", order.device, error)
                return  # the next connection compares again
            _log.info("The broker had forgotten the order for %s; published it again.", order.device)

    def _revision(self, device: Device, last: Desired | None) -> int:
        revision = max(
            self._next_revision(device.name),
            device.reported.revision + 1 if device.reported else 0,
            last.revision + 1 if last else 0,
        )
        if revision >= 2**53:
            raise FleetError(
                f"{device.name} reports revision {revision - 1}, the last there is: it obeys no more. "
                "Delete its state folder and start its client again."
            )
        return revision

    def check_key(self, device: Device) -> None:
        """Refuse what the device would refuse anyway, minutes earlier and with what to do about it."""
        public_key = self._key.public_key()
        if not device.online or device.about is None or fingerprint(public_key) in pinned_keys(device):
            return
        pinned = ", ".join(pinned_keys(device))
        problem = (
            f"has pinned the key of another studio ({pinned})" if pinned else "has pinned no studio's key yet"
        )
        raise FleetError(
            f"{device.name} {problem}, so it would refuse this order. On the device, run "
            f"`slimcast-edge enroll --config edge.toml --key {public_key_to_text(public_key)}` and start it "
            "again."
        )


def pinned_keys(device: Device) -> list[str]:
    """Return the fingerprints of the keys that a device says it has pinned; an older client names one."""
    if device.about is None:
        return []
    return (
        device.about.key_fingerprints or [device.about.key_fingerprint][: bool(device.about.key_fingerprint)]
    )
