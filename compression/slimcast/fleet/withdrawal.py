"""Withdrawn artifacts: refused to who wants to publish them, and found on devices."""

from collections.abc import Iterable

from slimcast.errors import FleetError
from slimcast.fleet.records import Device
from slimcast.store import Store


def check_allowed(store: Store, artifact: str) -> None:
    """Refuse an artifact that is withdrawn.

    Raises:
        FleetError: it is; says why, and how to allow it again.
    """
    found = store.withdrawals.get(artifact)
    if found is not None:
        raise FleetError(
            f"{found.name or artifact[:12]} has been withdrawn ({found.reason or 'no reason given'}), so it "
            "is published to no device. To allow it again: slimcast withdraw RUN --variant NAME --undo"
        )


def running(devices: Iterable[Device], artifact: str) -> list[str]:
    """Return the names of the devices that classify with an artifact, or would go back to it."""
    return sorted(
        device.name
        for device in devices
        if device.reported is not None and artifact in {device.reported.active, device.reported.previous}
    )
