"""Repeats an order that a device does not seem to have, for ever, but ever less often."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from slimcast.errors import FleetError
from slimcast.fleet.records import Device
from slimcast.timing import is_due
from slimcast_edge.wire import Desired

FIRST_AFTER_S = 30.0
LAST_EVERY_S = 3600.0
_log = logging.getLogger(__name__)


class Hub(Protocol):
    """What is needed of `FleetHub`."""

    def own_order(self, device: str) -> Desired | None:
        """Return the newest order that this studio has given a device."""

    def repeat_order(self, device: str) -> None:
        """Publish it once more."""


@dataclass(frozen=True, kw_only=True)
class _Behind:
    revision: int
    since: float
    wait_s: float


class Reconciler:
    """Compares what was ordered with what is reported.

    The broker's retained order reaches a device when it connects; this is for what goes wrong beside that: an
    order that got lost on the way, was overwritten by a studio whose key the device does not accept, or was
    deleted from the broker.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._behind: dict[str, _Behind] = {}

    def tick(self, devices: Mapping[str, Device], now: float) -> None:
        """Repeat the orders of those who have been online and behind for long enough."""
        behind = {}
        for device in devices.values():
            order = self._hub.own_order(device.name)
            if order is None or not _is_behind(device, order):
                continue
            known = self._behind.get(device.name)
            if known is None or known.revision != order.revision:
                known = _Behind(revision=order.revision, since=now, wait_s=FIRST_AFTER_S)
            elif is_due(known.since, known.wait_s, now):
                self._repeat(device.name, order)
                wait_s = min(LAST_EVERY_S, known.wait_s * 2)
                known = _Behind(revision=order.revision, since=now, wait_s=wait_s)
            behind[device.name] = known
        self._behind = behind

    def _repeat(self, device: str, order: Desired) -> None:
        try:
            self._hub.repeat_order(device)
        except FleetError as error:
            _log.warning("The order for %s could not be repeated: %s", device, error)
        else:
            _log.info("%s has not taken up revision %d; published it again.", device, order.revision)


def _is_behind(device: Device, order: Desired) -> bool:
    return device.online and device.reported is not None and device.reported.revision < order.revision
