"""Several devices back to the model that each ran before, at once."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from slimcast.errors import FleetError
from slimcast_edge.wire import Reply

TIMEOUT_S = 10.0
AT_ONCE = 8


class Hub(Protocol):
    """What is needed of `FleetHub`."""

    def command(self, device: str, name: str, args: dict[str, Any], timeout_s: float) -> Reply:
        """Send a command and return its reply."""


def roll_back(hub: Hub, devices: Iterable[str]) -> dict[str, str]:
    """Have devices go back; return what went wrong with each, "" where nothing did.

    A device that is offline does not hear it; it goes back with the roll-out that brought its model, see
    `slimcast.fleet.rollout`, whose orders wait for it.
    """
    names = list(devices)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rollback") as pool:
        return dict(zip(names, pool.map(lambda name: _one(hub, name), names), strict=True))


def _one(hub: Hub, device: str) -> str:
    try:
        reply = hub.command(device, "rollback", {}, TIMEOUT_S)
    except FleetError as error:
        return str(error)
    return "" if reply.ok else f"{device} did not roll back: {reply.error or 'it gave no reason'}"
