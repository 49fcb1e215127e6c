"""Gives orders to devices: numbers, signs and publishes them, and repeats what a broker has forgotten."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast.errors import FleetError
from slimcast.fleet.keys import KeyChange
from slimcast.fleet.orders import OrderBook
from slimcast.fleet.records import Device
from slimcast_edge.errors import WireError
from slimcast_edge.signing import fingerprint, public_key_to_text, sign
from slimcast_edge.wire import (
    ArtifactRef,
    CameraOrder,
    CameraView,
    Desired,
    StreamSettings,
    check_size,
    topic,
)

RETAINED_GRACE_S = 1.0
"""How long after connecting the broker has had time to hand over the orders that it retains."""
_log = logging.getLogger(__name__)


class Send(Protocol):
    """Publishes with the topic's own QoS and retain flag; `FleetError` when the broker did not take it."""

    def __call__(self, topic: str, payload: bytes) -> None:
        """Publish."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an order changes; all that is None stays as it was.

    Attributes:
        camera: whose `stream` and `view` these are, of several; empty: the device's.
        own_view, own_stream: back to the camera's own settings, and to the stream of the device.

    """

    artifact: ArtifactRef | None = None
    stream: StreamSettings | None = None
    view: CameraView | None = None
    camera: str = ""
    own_view: bool = False
    own_stream: bool = False

    def applied(self, last: Desired | None) -> dict[str, Any]:
        """Return the fields of the next order."""
        fields: dict[str, Any] = {"artifact": self.artifact or (last.artifact if last else None)}
        if self.camera:
            cameras = dict(last.cameras) if last else {}
            cameras[self.camera] = self._applied_to(cameras.get(self.camera, CameraOrder()))
            fields["cameras"] = {name: order for name, order in cameras.items() if not order.is_empty}
            fields["stream"], fields["camera"] = (
                (last.stream, last.camera) if last else (StreamSettings(), None)
            )
            return fields
        fields["cameras"] = last.cameras if last else {}
        fields["stream"] = self.stream or (last.stream if last else StreamSettings())
        fields["camera"] = None if self.own_view else self.view or (last.camera if last else None)
        return fields

    def _applied_to(self, order: CameraOrder) -> CameraOrder:
        return CameraOrder(
            view=None if self.own_view else self.view or order.view,
            stream=None if self.own_stream else self.stream or order.stream,
        )


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

    def order(self, device: Device, what: Change | None = None) -> int:
        """Change a device's order, or say the same once more. Returns the new revision.

        Raises:
            FleetError: the device would refuse the order, or the broker did not take it.
        """
        self.check_key(device)
        what = what or Change()
        with self._one_at_a_time:
            last = self._orders.get(device.name)
            keys = self._key_change()
            order = Desired(
                site=self._site,
                device=device.name,
                revision=self._revision(device, last),
                next_key=keys.next_key,
                retired_keys=list(keys.retired),
                **what.applied(last),
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
