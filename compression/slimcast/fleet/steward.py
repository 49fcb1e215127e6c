"""Looks after the fleet once a second, as long as the studio runs: one thread, one duty after the other."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from slimcast.errors import SlimcastError
from slimcast.fleet.alert_keeper import AlertKeeper
from slimcast.fleet.alert_rules import AlertLimits
from slimcast.fleet.device_keeper import DeviceKeeper
from slimcast.fleet.hub import FleetHub
from slimcast.fleet.label_keeper import LabelKeeper
from slimcast.fleet.reconciler import Reconciler
from slimcast.fleet.records import Device
from slimcast.fleet.rollout_driver import RolloutDriver
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast.timing import is_due

EVERY_S = 1.0
SETTLE_S = 4.0
"""After a connection the broker needs a moment to tell of all devices; before that they all seem offline."""
LOG_EVERY_S = 60.0
_log = logging.getLogger(__name__)


class Duty(Protocol):
    """One thing to look after."""

    def tick(self, devices: Mapping[str, Device], now: float) -> None:
        """Look at the devices by name; `now` is a Unix time, s."""


class Hub(Protocol):
    """What is needed of `FleetHub` here."""

    @property
    def connected(self) -> bool:
        """Return whether the broker is there now."""

    def devices(self) -> list[Device]:
        """Return all devices."""


class Steward:
    """Calls its duties while the broker is there. One that fails keeps no other from its turn."""

    def __init__(self, hub: Hub, duties: Sequence[Duty], *, clock: Callable[[], float] = time.time) -> None:
        self._hub, self._duties, self._clock = hub, duties, clock
        self._connected_at: float | None = None
        self._logged_at: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="fleet-steward", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; what it was doing is finished."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=15)

    def turn(self) -> None:
        """Give each duty one turn, if the broker has been there for a while."""
        now = self._clock()
        if not self._hub.connected:
            self._connected_at = None
            return
        if self._connected_at is None:
            self._connected_at = now
        if not is_due(self._connected_at, SETTLE_S, now):
            return
        devices = {device.name: device for device in self._hub.devices()}
        for duty in self._duties:
            if self._stopping.is_set():
                return
            self._guarded(duty, devices, now)

    def _guarded(self, duty: Duty, devices: Mapping[str, Device], now: float) -> None:
        name = type(duty).__name__
        try:
            duty.tick(devices, now)
        except Exception as error:  # a full disk today must not end all looking after for ever
            if is_due(self._logged_at.get(name, float("-inf")), LOG_EVERY_S, now):
                self._logged_at[name] = now
                unexpected = not isinstance(error, SlimcastError)
                _log.error("%s could not do its work: %s", name, error, exc_info=unexpected)

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self.turn()


def make_steward(settings: Settings, hub: FleetHub, store: Store) -> Steward:
    """Return a steward with all duties of a studio."""
    limits = AlertLimits(offline_s=settings.alert_offline_s, hot_c=settings.alert_hot_c)
    return Steward(
        hub,
        [
            DeviceKeeper(store.devices, store.device_log),
            RolloutDriver(hub, store.rollouts, store.expulsions.names),
            Reconciler(hub),
            LabelKeeper(store.device_log),
            AlertKeeper(store, limits),
        ],
    )
