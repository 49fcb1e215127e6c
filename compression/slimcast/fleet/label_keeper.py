"""Adds up how often each device's model gives each label, by the hour."""

from collections.abc import Mapping

from slimcast.fleet.records import Device
from slimcast.fleet_records import LabelCounts
from slimcast.store.device_log import DeviceLog, merged
from slimcast.timing import is_due

WRITE_EVERY_S = 60.0
_Key = tuple[str, int, str]


class LabelKeeper:
    """Collects the counts that come with telemetry, and writes them once a minute."""

    def __init__(self, log: DeviceLog) -> None:
        self._log = log
        self._heard: dict[str, tuple[str, float]] = {}
        self._waiting: dict[_Key, LabelCounts] = {}
        self._written_at: float | None = None

    def tick(self, devices: Mapping[str, Device], now: float) -> None:
        """Take in each telemetry message once; what is not written when the studio ends is lost.

        Raises:
            StoreError: the store cannot be used; what has been collected is kept.
        """
        for device in devices.values():
            self._take_in(device, now)
        if self._written_at is None:
            self._written_at = now
        if self._waiting and is_due(self._written_at, WRITE_EVERY_S, now):
            self._log.count_labels(self._waiting.values())
            self._waiting = {}
            self._written_at = now

    def _take_in(self, device: Device, now: float) -> None:
        telemetry, reported = device.telemetry, device.reported
        if telemetry is None or reported is None or reported.active is None:
            return
        message = (telemetry.session, telemetry.at)
        if self._heard.get(device.name) == message:
            return
        self._heard[device.name] = message
        if not telemetry.labels and not telemetry.labels_other:
            return
        key = (device.name, int(now // 3600), reported.active)
        known = self._waiting.get(key)
        self._waiting[key] = LabelCounts(
            device=key[0],
            hour=key[1],
            artifact=key[2],
            counts=merged(known.counts if known else {}, telemetry.labels),
            other=(known.other if known else 0) + telemetry.labels_other,
        )
