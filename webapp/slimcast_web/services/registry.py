"""The devices that the store remembers: groups, labels, notes, what they ran, and forgetting them."""

from contextlib import suppress

from slimcast.errors import FleetError
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


def members(studio: Studio, word: str) -> set[str]:
    """Return the names of the devices of ``group:NAME`` or ``label:NAME``."""
    kind, _, name = word.partition(":")
    return {
        device.name
        for device in known(studio)
        if name in (device.groups if kind == "group" else device.labels)
    }


def words(studio: Studio) -> list[str]:
    """Return all groups and labels that are in use, as `members` takes them."""
    devices = known(studio)
    groups = sorted({f"group:{group}" for device in devices for group in device.groups})
    return groups + sorted({f"label:{label}" for device in devices for label in device.labels})


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
