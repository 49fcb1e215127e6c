"""What a device has told of itself besides its figures: troubles, and a clock that is wrong."""

import time

from slimcast.fleet.records import Device
from slimcast.timing import local_time
from slimcast_edge.wire import Event, EventKind
from slimcast_web.services import figures

TROUBLE_S = 600.0
"""So long a trouble stands on the device's card, and for as long as it classifies no frame."""


def trouble(device: Device) -> str:
    """Return the newest trouble that the device has told of, and how long ago; "" where there is none."""
    newest = next((event for event in reversed(device.events) if event.kind is EventKind.ERROR), None)
    if newest is None:
        return ""
    at = _studio_time(device, newest)
    still = device.telemetry is not None and device.telemetry.fps == 0  # nothing has got better since
    return f"{figures.ago(at)}: {newest.message}" if still or time.time() - at < TROUBLE_S else ""


def clock(device: Device) -> str:
    """Return how far the device's clock is off, as a sentence; "" where it is right."""
    off_s = device.clock_ahead_s
    if not device.has_wrong_clock:
        return ""
    days = abs(off_s) / 86_400
    far = f"{days:.0f} days" if days >= 2 else figures.duration(abs(off_s))
    return f"Its clock is {far} {'ahead' if off_s > 0 else 'behind'}: times that it tells are wrong."


def events(device: Device) -> list[dict[str, str]]:
    """Return what the device has told since the studio started, the newest first, as rows of a table."""
    return [
        {
            "at": local_time(_studio_time(device, event)),
            "event": event.kind.value.replace("_", " "),
            "what": event.message,
        }
        for event in reversed(device.events)
    ]


def _studio_time(device: Device, event: Event) -> float:
    return event.at - device.clock_ahead_s if device.has_wrong_clock else event.at
