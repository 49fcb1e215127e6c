"""Withdrawn artifacts, as the hub asks for them: at each chunk, so not of the database each time."""

import time
from collections.abc import Callable, Iterable

from slimcast.errors import FleetError, StoreError
from slimcast.fleet.records import Device
from slimcast.fleet_records import Withdrawal
from slimcast.store import Store

FRESH_S = 1.0
"""How long an answer is used again: another process may withdraw an artifact meanwhile."""


class WithdrawnNow:
    """The withdrawn artifacts, as of a second ago at most."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._known: dict[str, Withdrawal] = {}
        self._read_at = float("-inf")

    def __contains__(self, artifact: str) -> bool:
        """Return whether an artifact is withdrawn. While the database is away, the last answer stands."""
        now = self._clock()
        if now - self._read_at > FRESH_S:
            try:
                self._known = {one.artifact: one for one in self._store.withdrawals.all()}
            except StoreError:
                return artifact in self._known
            self._read_at = now
        return artifact in self._known


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
