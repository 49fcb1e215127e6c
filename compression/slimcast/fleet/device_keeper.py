"""Writes down which devices there are, when they were last heard of, and what they ran when."""

from collections.abc import Mapping

from slimcast.fleet.records import Device
from slimcast.fleet_records import HistoryEntry
from slimcast.store.device_log import DeviceLog
from slimcast.store.devices import Devices
from slimcast.timing import is_due

SEEN_EVERY_S = 60.0
CLEAN_EVERY_S = 3600.0


class DeviceKeeper:
    """Keeps the store's devices and their history up to date."""

    def __init__(self, devices: Devices, log: DeviceLog) -> None:
        self._devices, self._log = devices, log
        self._seen: dict[str, float] = {}
        self._last: dict[str, HistoryEntry] | None = None
        self._cleaned_at = 0.0

    def tick(self, devices: Mapping[str, Device], now: float) -> None:
        """Take note of what is new.

        Raises:
            StoreError: the store cannot be used.
        """
        # Who was removed, and comes back, is new again.
        self._seen = {name: at for name, at in self._seen.items() if name in devices}
        news = {
            name: device.last_seen
            for name, device in devices.items()
            if name not in self._seen or device.last_seen - self._seen[name] >= SEEN_EVERY_S
        }
        if news:
            self._devices.seen(news)
            self._seen |= news
        self._note_history(devices, now)
        if is_due(self._cleaned_at, CLEAN_EVERY_S, now):
            self._log.drop_old(now)
            self._cleaned_at = now

    def _note_history(self, devices: Mapping[str, Device], now: float) -> None:
        last = self._log.last() if self._last is None else self._last
        last = {name: entry for name, entry in last.items() if name in devices}
        found = [entry for device in devices.values() if (entry := _entry(device, now))]
        new = [entry for entry in found if _differs(entry, last.get(entry.device))]
        if new:
            self._log.add(new)
        self._last = last | {entry.device: entry for entry in new}


def _entry(device: Device, now: float) -> HistoryEntry | None:
    reported = device.reported
    if reported is None or not reported.state.is_settled():
        return None
    return HistoryEntry(
        device=device.name,
        at=now if device.has_wrong_clock else min(now, reported.at),
        revision=reported.revision,
        state=reported.state.value,
        artifact=reported.active,
        name=reported.active_name,
        reason=reported.reason,
        message=reported.message,
    )


def _differs(entry: HistoryEntry, last: HistoryEntry | None) -> bool:
    if last is None:
        return True
    return (entry.revision, entry.state, entry.artifact) != (last.revision, last.state, last.artifact)
