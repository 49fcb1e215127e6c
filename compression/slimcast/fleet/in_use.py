"""Artifacts that devices have or are ordered to have: nobody may delete them."""

import re
from collections.abc import Iterable

from slimcast.errors import FleetError
from slimcast.fleet.records import Device
from slimcast.settings import Settings

_SHA256 = re.compile(rb"\b[0-9a-f]{64}\b")


def artifacts_in_use(settings: Settings, devices: Iterable[Device] = ()) -> set[str]:
    """Return what the kept orders of all sites name, and what these devices report and are ordered.

    Raises:
        FleetError: an order cannot be read, so nobody knows what it names.
    """
    found: set[str] = set()
    for path in (settings.home / "orders").glob("*/*.json"):
        try:
            # Whatever looks like a hash, so that an order of an older or newer Slimcast counts as well.
            found |= {name.decode() for name in _SHA256.findall(path.read_bytes())}
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FleetError(f"The order {path} cannot be read: {error}.") from error
    for device in devices:
        if device.reported is not None:
            found |= {name for name in (device.reported.active, device.reported.previous) if name}
        if device.desired is not None and device.desired.artifact is not None:
            found.add(device.desired.artifact.sha256)
    return found
