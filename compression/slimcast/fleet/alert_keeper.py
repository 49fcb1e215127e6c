"""Applies the rules to all devices, and keeps the store's alerts as the rules say."""

import statistics
from collections import deque
from collections.abc import Iterable, Mapping

from slimcast.fleet.alert_rules import WINDOW, AlertLimits, Vitals, judge
from slimcast.fleet.drift import Drift, compare
from slimcast.fleet.records import Device
from slimcast.fleet_records import Alert, Baseline, KnownDevice, LabelCounts
from slimcast.store import Store
from slimcast.store.device_log import merged
from slimcast.timing import is_due
from slimcast_edge.wire import DeviceState, Telemetry

JUDGE_EVERY_S = 5.0
DRIFT_EVERY_S = 600.0
BASELINE_MESSAGES = 12
DAY_HOURS = 24


class AlertKeeper:
    """Looks at the devices every few seconds, and at their labels every few minutes."""

    def __init__(self, store: Store, limits: AlertLimits) -> None:
        self._store, self._limits = store, limits
        self._recent: dict[str, deque[Telemetry]] = {}
        self._drifts: dict[str, Drift] = {}
        self._judged_at = self._compared_at = 0.0

    def tick(self, devices: Mapping[str, Device], now: float) -> None:
        """Collect telemetry; now and then, open and resolve alerts.

        Raises:
            StoreError: the store cannot be used.
        """
        for device in devices.values():
            self._collect(device)
        if not is_due(self._judged_at, JUDGE_EVERY_S, now):
            return
        self._judged_at = now
        if is_due(self._compared_at, DRIFT_EVERY_S, now):
            self._compared_at = now
            hour = int(now // 3600)
            self._drifts = drifts(self._store.device_log.labels(hour - 2 * DAY_HOURS, hour - 1), hour)
            self._store.alerts.drop_old(now)
        opened = self._store.alerts.open()
        for known in self._store.devices.all():
            self._judge(known, devices.get(known.name), opened, now)

    def _collect(self, device: Device) -> None:
        telemetry = device.telemetry
        if telemetry is None:
            return
        recent = self._recent.setdefault(device.name, deque(maxlen=BASELINE_MESSAGES))
        if recent and recent[-1].session != telemetry.session:
            recent.clear()
        if not recent or recent[-1].at != telemetry.at:
            recent.append(telemetry)

    def _judge(self, known: KnownDevice, device: Device | None, opened: list[Alert], now: float) -> None:
        recent = tuple(self._recent.get(known.name, ()))
        if device is not None:
            known = self._with_baseline(known, device, recent)
        active = device.reported.active if device is not None and device.reported is not None else None
        baseline = known.baseline if known.baseline and known.baseline.artifact == active else None
        vitals = Vitals(
            online=device is not None and device.online,
            last_seen=max(known.last_seen, device.last_seen if device else 0.0) or known.first_seen,
            recent=recent[-WINDOW:],
            baseline=baseline,
            drift=self._drifts.get(known.name),
        )
        open_kinds = {alert.kind for alert in opened if alert.device == known.name}
        wanted = judge(vitals, self._limits, open_kinds, now)
        for kind in wanted.keys() - open_kinds:
            self._store.alerts.raise_(known.name, kind, wanted[kind], now)
        for kind in open_kinds - wanted.keys():
            self._store.alerts.resolve(known.name, kind, now)

    def _with_baseline(
        self, known: KnownDevice, device: Device, recent: tuple[Telemetry, ...]
    ) -> KnownDevice:
        """Take the first minutes with a model as what is usual for this device."""
        reported = device.reported
        if reported is None or reported.active is None or reported.state is not DeviceState.ACTIVE:
            return known
        if known.baseline is not None and known.baseline.artifact == reported.active:
            return known
        # Of messages from before the swap nothing is taken; both times are of the device's clock.
        new = [t for t in recent if t.at > reported.at]
        fps = statistics.median(t.fps for t in new) if new else 0.0
        if len(new) < BASELINE_MESSAGES or not fps:
            return known
        latency_ms = statistics.median(t.latency_p50_ms for t in new)
        baseline = Baseline(artifact=reported.active, latency_ms=latency_ms, fps=fps)
        self._store.devices.set_baseline(known.name, baseline)
        return KnownDevice(name=known.name, last_seen=known.last_seen, baseline=baseline)


def drifts(counts: Iterable[LabelCounts], hour: int) -> dict[str, Drift]:
    """Compare each device's 24 hours before Unix hour `hour` with the 24 before those.

    Only answers of the model that it ran last are compared: another model may well answer otherwise.
    """
    by_device: dict[str, list[LabelCounts]] = {}
    for one in counts:
        by_device.setdefault(one.device, []).append(one)
    found = {}
    for device, mine in by_device.items():
        artifact = max(mine, key=lambda one: one.hour).artifact
        days: tuple[dict[str, int], dict[str, int]] = ({}, {})
        for one in mine:
            if one.artifact == artifact:
                day = days[one.hour >= hour - DAY_HOURS]
                day.update(merged(day, one.counts))
        drift = compare(*days)
        if drift is not None:
            found[device] = drift
    return found
