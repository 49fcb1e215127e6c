"""Replacing the studio's key without losing a device: each learns the next key before it is used."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from slimcast.errors import FleetError
from slimcast.fleet import keys
from slimcast.fleet.commands import connected
from slimcast.fleet.hub import FleetHub
from slimcast.fleet.publisher import pinned_keys
from slimcast.fleet.records import Device
from slimcast.settings import Settings
from slimcast_edge.signing import fingerprint

LEARN_S = 5.0
"""How long devices have to report that they pinned the key; they need a fraction of a second."""
_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Where it stands.

    Attributes:
        fingerprint: of the key that is to take over, or has.
        ready: devices that have pinned it. waiting: those that have not: offline, or of another studio.
    """

    fingerprint: str
    ready: tuple[str, ...]
    waiting: tuple[str, ...]


def begin(settings: Settings, wait_s: float = 2.0) -> Rotation:
    """Make the next key and tell all devices to pin it; orders are signed with the old one still.

    Can be repeated, for devices that were offline.

    Raises:
        FleetError: no broker answers, or a key cannot be read or written.
    """
    mark = fingerprint(keys.begin_rotation(settings))
    with connected(settings) as (hub, _):
        time.sleep(wait_s)
        return _tell(hub, mark)


def finish(settings: Settings, *, force: bool = False, wait_s: float = 2.0) -> Rotation:
    """Sign with the next key from now on, and have the devices unpin the old one.

    Raises:
        FleetError: no rotation is under way, no broker answers, or devices do not know the new key yet.
    """
    fresh = keys.next_key(settings)
    if fresh is None:
        raise FleetError("No change of keys is under way. Begin one with: slimcast key rotate")
    mark = fingerprint(fresh)
    with connected(settings) as (hub, _):
        time.sleep(wait_s)
        waiting = [device.name for device in hub.devices() if mark not in pinned_keys(device)]
    if waiting and not force:
        raise FleetError(
            f"These devices have not pinned the new key {mark} yet: {', '.join(waiting)}. Bring them online "
            "and run `slimcast key rotate` once more; or use --force, and enrol them anew."
        )
    keys.finish_rotation(settings)
    with connected(settings) as (hub, _):  # it signs with the new key
        time.sleep(wait_s)
        return _tell(hub, mark)


def _tell(hub: FleetHub, mark: str) -> Rotation:
    for device in hub.devices():
        if device.desired is not None or device.online:
            _renew(hub, device)
    deadline = time.monotonic() + LEARN_S
    while _waiting(hub.devices(), mark, only=_is_online) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    devices = hub.devices()
    waiting = _waiting(devices, mark)
    ready = tuple(device.name for device in devices if device.name not in waiting)
    return Rotation(fingerprint=mark, ready=ready, waiting=waiting)


def _renew(hub: FleetHub, device: Device) -> None:
    try:
        hub.renew_order(device.name)
    except FleetError:
        if not hub.connected:
            raise
        # A device of another studio obeys no order of ours; it is listed as one that waits.


def _waiting(
    devices: list[Device], mark: str, only: Callable[[Device], bool] = lambda _: True
) -> tuple[str, ...]:
    return tuple(device.name for device in devices if only(device) and mark not in pinned_keys(device))


def _is_online(device: Device) -> bool:
    return device.online
