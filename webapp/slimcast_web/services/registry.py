"""The devices that the store remembers: groups, labels, notes, what they ran, and forgetting them."""

from contextlib import suppress

from slimcast.errors import FleetError
from slimcast.fleet import expulsion, rollbacks
from slimcast.fleet.selection import select
from slimcast.fleet_records import HistoryEntry, KnownDevice
from slimcast_web.services.studio import Studio


def known(studio: Studio) -> list[KnownDevice]:
    """Return all devices that were ever seen, by name."""
    return studio.store.devices.all()


def describe(studio: Studio, name: str, groups: str, labels: str, note: str) -> None:
    """Replace groups and labels (written with commas between them) and the note.

    Raises:
        SlimcastError: a word cannot be kept, or the device is unknown.

    """
    studio.store.devices.describe(name, groups=groups.split(","), labels=labels.split(","), note=note)


def history(studio: Studio, device: str) -> list[HistoryEntry]:
    """Return what a device ran, the newest first."""
    return studio.store.device_log.of(device)


def remove(studio: Studio, name: str) -> None:
    """Forget a device, here and at the broker.

    Raises:
        FleetError: the broker is away, or the device is online.

    """
    studio.hub.forget(name)
    with suppress(FleetError):  # the steward may not have noted it yet
        studio.store.devices.remove(name)


def expel(studio: Studio, name: str) -> list[str]:
    """Shut a device out until it is enrolled anew; return what is left to do, in sentences.

    Raises:
        FleetError: a file cannot be written. StoreError: the store cannot be used.

    """
    return expulsion.expel(studio.settings, studio.store, name, studio.hub.turn_out)


def roll_back(studio: Studio, to: list[str]) -> dict[str, str]:
    """Have the selected devices go back to their former models; return what went wrong with each.

    Raises:
        RolloutError: nobody is selected.

    """
    return rollbacks.roll_back(studio.hub, [device.name for device in select(known(studio), to)])
