"""The rules of alerts, the distance of label distributions, and the keepers that feed them, with a clock."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from slimcast.fleet.alert_keeper import BASELINE_MESSAGES, AlertKeeper, drifts
from slimcast.fleet.alert_rules import AlertLimits, Vitals, judge
from slimcast.fleet.drift import Drift, compare
from slimcast.fleet.label_keeper import LabelKeeper
from slimcast.fleet_records import AlertKind, Baseline, LabelCounts
from slimcast.store import Store
from support_rollout import NEW, OLD, T0, fleet_device, replace_status, telemetry
from support_store import make_settings

LIMITS = AlertLimits()
BASELINE = Baseline(artifact=OLD, latency_ms=2.0, fps=30.0)
DRIFT = Drift(distance=0.5, label="cat", share_before=0.1, share_now=0.6, n_before=900, n_now=900)


def vitals(count: int = 6, *, online: bool = True, last_seen: float = T0, **more) -> Vitals:
    fields = {name: more.pop(name) for name in ("baseline", "drift") if name in more}
    recent = tuple(telemetry(T0 + n, **more) for n in range(count))
    return Vitals(online=online, last_seen=last_seen, recent=recent, **fields)


def kinds(now: Vitals, *opened: AlertKind, at: float = T0) -> set[AlertKind]:
    return set(judge(now, LIMITS, opened, at))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (vitals(), set()),
        (vitals(temperature_c=81.0), {AlertKind.HOT}),
        (vitals(2, temperature_c=81.0), set()),
        (vitals(temperature_c=None, throttled=None), set()),
        (vitals(throttled=True), {AlertKind.HOT}),
        (vitals(latency_p50_ms=3.5, baseline=BASELINE), {AlertKind.SLOW}),
        (vitals(latency_p50_ms=2.9, baseline=BASELINE), set()),
        (vitals(latency_p50_ms=99.0), set()),
        (vitals(fps=10.0, baseline=BASELINE), {AlertKind.SLOW}),
        (vitals(5, fps=10.0, baseline=BASELINE), set()),
        (vitals(drift=DRIFT), {AlertKind.DRIFTING}),
        (vitals(drift=replace(DRIFT, n_now=499)), set()),
        (vitals(drift=replace(DRIFT, distance=0.29)), set()),
    ],
)
def test_when_an_alert_opens(now: Vitals, expected: set[AlertKind]):
    assert kinds(now) == expected


@pytest.mark.parametrize(
    ("kind", "still", "well"),
    [
        (AlertKind.HOT, {"temperature_c": 76.0}, {"temperature_c": 74.0}),
        (AlertKind.SLOW, {"latency_p50_ms": 2.7}, {"latency_p50_ms": 2.5}),
        (AlertKind.SLOW, {"fps": 20.0}, {"fps": 24.0}),
        (
            AlertKind.DRIFTING,
            {"drift": replace(DRIFT, distance=0.27)},
            {"drift": replace(DRIFT, distance=0.2)},
        ),
    ],
)
def test_it_is_resolved_well_below_its_limit(kind: AlertKind, still: dict, well: dict):
    assert kinds(vitals(baseline=BASELINE, **still)) == set(), "not reason enough to open it"
    assert kinds(vitals(baseline=BASELINE, **still), kind) == {kind}
    assert kinds(vitals(baseline=BASELINE, **well), kind) == set()


def test_a_silent_device_is_offline_after_a_while_and_keeps_its_other_alerts():
    gone = vitals(online=False, temperature_c=20.0)
    assert kinds(gone, AlertKind.HOT, at=T0 + 299) == {AlertKind.HOT}
    assert kinds(gone, AlertKind.HOT, at=T0 + 300) == {AlertKind.HOT, AlertKind.OFFLINE}
    assert kinds(vitals(), AlertKind.OFFLINE) == set()


def test_too_little_known_neither_opens_nor_resolves():
    assert kinds(vitals(0, baseline=BASELINE), AlertKind.HOT, AlertKind.SLOW) == {
        AlertKind.HOT,
        AlertKind.SLOW,
    }


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), min_size=1),
)
def test_the_distance_is_that_of_scipy(before: dict[str, int], now: dict[str, int]):
    drift = compare(before, now)
    if not sum(before.values()) or not sum(now.values()):
        assert drift is None
        return
    pair = np.array([[counts.get(label, 0) for label in "abcdef"] for counts in (before, now)], dtype=float)
    assert drift.distance == pytest.approx(jensenshannon(*pair, base=2), abs=1e-6)
    assert compare(now, before).distance == pytest.approx(drift.distance, abs=1e-9)


def test_the_label_that_changed_most_is_named():
    drift = compare({"cat": 90, "dog": 10}, {"cat": 10, "dog": 80, "hen": 10})
    assert (drift.label, drift.share_before, drift.share_now) == ("cat", 0.9, 0.1)
    assert compare({"a": 5}, {"b": 7}).distance == 1.0


def test_only_answers_of_the_same_model_are_compared():
    def hour(number: int, artifact: str, **counts: int) -> LabelCounts:
        return LabelCounts(device="cam1", hour=number, artifact=artifact, counts=counts)

    day_before, last_day = 100, 130
    found = drifts([hour(day_before, OLD, a=500), hour(last_day, OLD, b=500)], hour=140)
    assert found["cam1"].distance == 1.0
    assert drifts([hour(day_before, OLD, a=500), hour(last_day, NEW, b=500)], hour=140) == {}
    mixed = [hour(day_before, OLD, a=500), hour(day_before, NEW, a=5), hour(last_day, NEW, a=7)]
    assert (drifts(mixed, hour=140)["cam1"].n_before, drifts(mixed, hour=140)["cam1"].distance) == (5, 0.0)


class TestKeepers:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = Store.open(make_settings(tmp_path))
        store.devices.seen({"cam1": T0})
        yield store
        store.close()

    def run(self, store: Store, keeper: AlertKeeper, seconds: int, start: float, **more) -> None:
        for second in range(0, seconds, 5):
            at = start + second
            device = replace(fleet_device("cam1", at=T0), telemetry=telemetry(at, **more), last_seen=at)
            keeper.tick({"cam1": device}, at)

    def test_a_baseline_is_taken_and_a_slow_device_found_and_resolved(self, store):
        keeper = AlertKeeper(store, LIMITS)
        self.run(store, keeper, 5 * (BASELINE_MESSAGES + 2), T0 + 5)
        assert store.devices.get("cam1").baseline == BASELINE
        self.run(store, keeper, 60, T0 + 200, latency_p50_ms=4.0)
        (alert,) = store.alerts.open()
        assert (alert.kind, alert.message[:26]) == (AlertKind.SLOW, "4.00 ms for an image; when")
        self.run(store, AlertKeeper(store, LIMITS), 60, T0 + 300)  # a restart forgets nothing
        assert store.alerts.open() == []

    def test_a_device_that_has_gone_opens_an_alert_until_it_is_back(self, store):
        keeper, device = AlertKeeper(store, LIMITS), fleet_device("cam1")
        gone = replace(device, status=replace_status(device, online=False))
        keeper.tick({"cam1": gone}, T0 + 100)
        assert store.alerts.open() == []
        keeper.tick({"cam1": gone}, T0 + 400)
        assert [alert.kind for alert in store.alerts.open()] == [AlertKind.OFFLINE]
        keeper.tick({"cam1": replace(device, last_seen=T0 + 500)}, T0 + 500)
        assert store.alerts.open() == []

    def test_a_clock_that_is_set_back_makes_nobody_blind(self, store):
        keeper, device = AlertKeeper(store, LIMITS), fleet_device("cam1")
        keeper.tick({"cam1": device}, T0 + 86_400)
        gone = replace(device, status=replace_status(device, online=False))
        keeper.tick({"cam1": gone}, T0 + 400)
        assert [alert.kind for alert in store.alerts.open()] == [AlertKind.OFFLINE]

    def test_labels_are_counted_once_and_by_the_hour(self, store):
        keeper = LabelKeeper(store.device_log)
        for second in range(0, 130, 1):  # telemetry comes every fifth second, the keeper looks every second
            at = T0 + second // 5 * 5
            heard = telemetry(at, labels={"cat": 2}, labels_other=1)
            keeper.tick({"cam1": replace(fleet_device("cam1"), telemetry=heard)}, T0 + second)
        (counted,) = store.device_log.labels(0, 10**6)
        assert counted.artifact == OLD
        messages = counted.other
        assert counted.counts == {"cat": 2 * messages}
        assert 24 <= messages <= 26
