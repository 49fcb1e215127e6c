"""Takes a device out of a lab: it can neither connect nor be heard until it is enrolled anew."""

from collections.abc import Callable
from contextlib import suppress

from slimcast.errors import FleetError
from slimcast.fleet.admission import broker_users
from slimcast.fleet.enrolment import EnrolmentDesk
from slimcast.fleet.mosquitto import HOME_ASSISTANT, STUDIO
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.errors import WireError
from slimcast_edge.wire import topic

ELSEWHERE = (
    "The broker's users are not kept by this studio (SLIMCAST_BROKER_FOLDER is not set): take the device's "
    "user away there, too. Until then it can connect, but this studio does not hear it."
)
RELOAD = (
    "Mosquitto could not be told: reload it now (systemctl reload mosquitto, or docker kill -s HUP). Until "
    "then the device can use it, but this studio does not hear it."
)
LATER = "The broker is away: what it retains of the device is deleted when it is back and a studio runs."


def expel(settings: Settings, store: Store, name: str, clear: Callable[[str], None]) -> list[str]:
    """Expel a device; return what is left to do, in sentences.

    Its user at the broker, open codes and the studio's ear end at once, in this order, so that what fails
    leaves it out rather than in. What it ran stays in the history.

    Args:
        settings: of the studio. store: of the same.
        name: of the device, which need not have been seen.
        clear: deletes what the broker retains of it (`FleetHub.turn_out`).

    Raises:
        FleetError: no device can have that name, or a file cannot be written.
    """
    if name in {STUDIO, HOME_ASSISTANT}:
        raise FleetError(f"{name!r} is no device: it cannot be expelled.")
    try:
        topic(settings.site, name, "status")
    except WireError as error:
        raise FleetError(str(error)) from error
    left = []
    store.expulsions.add(name)
    EnrolmentDesk(settings).end_codes(name)
    users = broker_users(settings)
    if users is None:
        left.append(ELSEWHERE)
    elif not users.expel(name):
        left.append(RELOAD)
    try:
        clear(name)
    except FleetError:
        left.append(LATER)
    with suppress(FleetError):  # never seen; last, since who looks after the fleet notes whom the hub knows
        store.devices.expel(name)
    return left
