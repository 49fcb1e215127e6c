"""Which devices are meant: ``all``, a name, ``group:NAME``, ``label:NAME`` or ``label:NAME=VALUE``."""

from collections.abc import Iterable, Sequence

from slimcast.errors import RolloutError
from slimcast.fleet_records import KnownDevice

_TO = "Write 'all', a device's name, 'group:NAME' or 'label:NAME' (also 'label:NAME=VALUE')."


def select(known: Sequence[KnownDevice], to: Iterable[str]) -> list[KnownDevice]:
    """Return the devices that are meant, by name, each once.

    Raises:
        RolloutError: a name, group or label that no device has, or nothing at all.
    """
    chosen: dict[str, KnownDevice] = {}
    for word in to:
        kind, _, name = word.strip().partition(":")
        found = [device for device in known if _is_meant(device, kind, name)]
        if not found:
            names = ", ".join(device.name for device in known) or "none yet; `slimcast app` notes them"
            raise RolloutError(f"{word[:80]!r} selects no device. {_TO} Known devices: {names}.")
        chosen |= {device.name: device for device in found}
    if not chosen:
        raise RolloutError(f"No device is selected. {_TO}")
    return [chosen[name] for name in sorted(chosen)]


def _is_meant(device: KnownDevice, kind: str, name: str) -> bool:
    if not name:
        return kind in ("all", device.name)
    if kind == "group":
        return name in device.groups
    if kind == "label":
        return any(label == name or label.partition("=")[0] == name for label in device.labels)
    return False
