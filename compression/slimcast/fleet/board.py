"""What is known of all devices now, for many threads: read it, change it, wait for a change."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from slimcast.errors import FleetError
from slimcast.fleet.records import Device
from slimcast.fleet.registry import DeviceRegistry
from slimcast_edge.wire import Address, Payload


class Board:
    """The registry behind a lock. `counters` counts ``dropped_outdated``."""

    def __init__(self, site: str, counters: Counter[str]) -> None:
        self._site, self._counters = site, counters
        self._registry = DeviceRegistry()
        self._changed = threading.Condition()

    def all(self) -> list[Device]:
        """Return all devices that have been heard of, by name."""
        with self._changed:
            return self._registry.all()

    def find(self, name: str) -> Device | None:
        """Return one device, None when nothing is known of it."""
        with self._changed:
            return self._registry.get(name)

    def get(self, name: str) -> Device:
        """Return one device.

        Raises:
            FleetError: nothing is known of it; lists those that are known.
        """
        device = self.find(name)
        if device is None:
            names = ", ".join(device.name for device in self.all())
            names = names or "none; start one with `slimcast-edge run --config edge.toml`"
            raise FleetError(
                f"Nothing has been heard of a device {name[:80]!r} at site {self._site!r}. Known: {names}."
            )
        return device

    def apply(self, address: Address, payload: Payload) -> None:
        """Take in what a device or a studio says.

        Raises:
            WireError: it contradicts its topic, or there are too many devices.
        """
        with self._changed:
            if self._registry.apply(address, payload) is None:
                self._counters["dropped_outdated"] += 1
            self._changed.notify_all()

    def clear(self, address: Address) -> None:
        """Forget a state that was deleted from the broker."""
        with self._changed:
            self._registry.clear(address)
            self._changed.notify_all()

    def wait_settled(
        self,
        device: str,
        revision: int,
        timeout_s: float,
        on_change: Callable[[Device], None] | None = None,
    ) -> Device:
        """Wait until a device has done with an order, one way or the other, and return what it is then.

        `on_change` is called in this thread, first with the state as it is.

        Raises:
            FleetError: the device is unknown, or has not settled in time; says what was last heard of it.
        """
        deadline, shown = time.monotonic() + timeout_s, None
        while True:
            now = self.get(device)
            if on_change is not None and (now.online, now.reported) != shown:
                on_change(now)
            shown = (now.online, now.reported)
            if _settled(now, revision):
                return now
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise FleetError(
                    f"{device} was not done with revision {revision} after {timeout_s:g} s. {last_heard(now)}"
                )
            with self._changed:
                if self._registry.get(device) is now:
                    self._changed.wait(remaining_s)


def last_heard(device: Device) -> str:
    """Return what was last heard of a device, as a sentence."""
    where = "online" if device.online else "offline"
    if device.reported is None:
        return f"It is {where} and has reported nothing."
    reported = device.reported
    why = f" ({reported.reason}: {reported.message})" if reported.reason else ""
    return f"It is {where}; last it reported {reported.state} at revision {reported.revision}{why}."


def _settled(device: Device, revision: int) -> bool:
    reported = device.reported
    return reported is not None and reported.revision >= revision and reported.state.is_settled()
