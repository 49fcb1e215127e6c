"""What lasts of a fleet: devices and their labels, roll-outs, history, label counts, alerts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slimcast.errors import FleetError, RolloutError, RunNotFound
from slimcast.fleet_records import AlertKind, Baseline, HistoryEntry, LabelCounts, RolloutState, RolloutStep
from slimcast.settings import Settings
from slimcast.store import Store, device_log
from support_rollout import NEW, OLD, T0, new_rollout
from support_store import make_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


def entry(device: str = "cam1", revision: int = 1, **more) -> HistoryEntry:
    values = {"at": T0, "state": "active", "artifact": OLD, "name": "old"} | more
    return HistoryEntry(device=device, revision=revision, **values)


class TestDevices:
    def test_they_and_their_labels_survive_a_restart(self, settings, store):
        store.devices.seen({"cam2": T0, "cam1": 0.0})
        store.devices.describe(
            "cam1", groups=["lobby", " door "], labels=["room=2", "indoor"], note=" Left. "
        )
        store.devices.set_baseline("cam1", Baseline(artifact=OLD, latency_ms=2.0, fps=30.0))
        again = Store.open(settings)
        try:
            one, two = again.devices.all()
        finally:
            again.close()
        assert (one.groups, one.labels, one.note) == (("door", "lobby"), ("indoor", "room=2"), "Left.")
        assert one.baseline == Baseline(artifact=OLD, latency_ms=2.0, fps=30.0)
        assert one.first_seen > T0, "never heard of: it was noted just now"
        assert (two.name, two.first_seen, two.last_seen) == ("cam2", T0, T0)

    def test_last_seen_only_grows(self, store):
        store.devices.seen({"cam1": T0})
        store.devices.seen({"cam1": T0 + 60})
        store.devices.seen({"cam1": T0 - 60})
        assert store.devices.get("cam1").last_seen == T0 + 60

    @pytest.mark.parametrize("label", ["=2", "a=", "a,b", "a\nb", "<b>", "x" * 41])
    def test_a_label_that_cannot_be_kept_is_named(self, store, label: str):
        store.devices.seen({"cam1": T0})
        with pytest.raises(RolloutError, match="cannot be a label"):
            store.devices.describe("cam1", groups=[], labels=[label], note="")

    def test_an_unknown_one_is_named_with_those_there_are(self, store):
        store.devices.seen({"cam1": T0})
        with pytest.raises(FleetError, match=r"'cam2' .* Known: cam1"):
            store.devices.describe("cam2", groups=[], labels=[], note="")

    def test_what_is_removed_is_forgotten_with_all_that_was_noted(self, store):
        store.devices.seen({"cam1": T0, "cam2": T0})
        for name in ("cam1", "cam2"):
            store.device_log.add([entry(name)])
            store.alerts.raise_(name, AlertKind.HOT, "Hot.", T0)
            store.device_log.count_labels([LabelCounts(device=name, hour=1, artifact=OLD, counts={"a": 1})])
        store.devices.remove("cam1")
        assert [device.name for device in store.devices.all()] == ["cam2"]
        assert [alert.device for alert in store.alerts.open()] == ["cam2"]
        assert store.device_log.of("cam1") == []
        assert [one.device for one in store.device_log.labels(0, 2)] == ["cam2"]

    def test_sites_are_apart(self, settings, store):
        store.devices.seen({"cam1": T0})
        other = Store.open(replace(settings, site="elsewhere"))
        try:
            assert other.devices.all() == []
            other.rollouts.create(new_rollout(["cam1"]))
            assert store.rollouts.newest() == []
        finally:
            other.close()


class TestRollouts:
    def test_it_comes_back_as_it_was(self, store):
        made = store.rollouts.create(new_rollout(["cam1", "cam2", "cam3"]))
        assert store.rollouts.get(made.id[:5]) == made
        assert store.rollouts.newest() == [made]
        assert store.rollouts.to_look_after() == [made]

    def test_of_two_who_change_it_one_is_refused(self, store):
        made = store.rollouts.create(new_rollout(["cam1"]))
        device = replace(made.devices[0], step=RolloutStep.ORDERED, revision=7, previous=OLD)
        first = replace(made, stage=0, devices=(device,))
        assert store.rollouts.save(made, first)
        assert not store.rollouts.save(made, replace(made, state=RolloutState.HALTED))
        now = store.rollouts.get(made.id)
        assert (now.state, now.stage, now.devices[0]) == (RolloutState.RUNNING, 0, device)

    def test_a_request_is_no_victim_of_a_change_at_the_same_time(self, store):
        made = store.rollouts.create(new_rollout(["cam1"]))
        store.rollouts.request(made.id, "halt")
        assert not store.rollouts.save(made, replace(made, stage=0))
        assert store.rollouts.get(made.id).request == "halt"

    def test_finished_ones_rest_until_something_is_asked(self, store):
        made = store.rollouts.create(new_rollout(["cam1"]))
        store.rollouts.save(made, replace(made, state=RolloutState.SUCCEEDED))
        assert store.rollouts.to_look_after() == []
        with pytest.raises(RolloutError, match="nothing to halt"):
            store.rollouts.request(made.id, "halt")
        store.rollouts.request(made.id, "revert")
        assert [one.id for one in store.rollouts.to_look_after()] == [made.id]

    def test_what_is_reverted_cannot_be_reverted(self, store):
        made = store.rollouts.create(new_rollout(["cam1"]))
        store.rollouts.save(made, replace(made, state=RolloutState.REVERTED))
        with pytest.raises(RolloutError, match="nothing to revert"):
            store.rollouts.request(made.id, "revert")

    def test_an_unknown_id(self, store):
        with pytest.raises(RunNotFound, match="rollout show"):
            store.rollouts.get("nosuch")


class TestDeviceLog:
    def test_history_is_newest_first_and_bounded(self, store, monkeypatch):
        monkeypatch.setattr(device_log, "HISTORY_KEPT", 3)
        store.device_log.add([entry(revision=n) for n in range(6)])
        store.device_log.add([entry("cam2", revision=1, artifact=NEW, reason="too_slow", message="Slow.")])
        assert [one.revision for one in store.device_log.of("cam1")] == [5, 4, 3]
        assert [one.revision for one in store.device_log.of("cam1", limit=1)] == [5]
        last = store.device_log.last()
        assert {name: one.revision for name, one in last.items()} == {"cam1": 5, "cam2": 1}
        assert last["cam2"].message == "Slow."

    def test_old_entries_are_dropped(self, store):
        store.device_log.add([entry(at=T0), entry(at=T0 + 86400)])
        store.device_log.count_labels([LabelCounts(device="cam1", hour=10, artifact=OLD, counts={"a": 1})])
        store.device_log.drop_old(T0 + device_log.HISTORY_KEPT_S + 10)
        assert [one.at for one in store.device_log.of("cam1")] == [T0 + 86400]
        assert store.device_log.labels(0, 20) == []

    def test_counts_of_an_hour_add_up(self, store):
        one = LabelCounts(device="cam1", hour=5, artifact=OLD, counts={"a": 2, "b": 1}, other=1)
        store.device_log.count_labels([one])
        store.device_log.count_labels([replace(one, counts={"a": 3, "c": 1}), replace(one, hour=6)])
        first, second = store.device_log.labels(0, 9, "cam1")
        assert (first.counts, first.other) == ({"a": 5, "b": 1, "c": 1}, 2)
        assert second.hour == 6

    def test_a_thousand_labels_are_bounded(self, store):
        counts = {f"label {n}": n + 1 for n in range(1000)}
        store.device_log.count_labels([LabelCounts(device="cam1", hour=5, artifact=OLD, counts=counts)])
        (kept,) = store.device_log.labels(5, 5)
        assert len(kept.counts) == device_log.LABELS_KEPT
        assert sum(kept.counts.values()) + kept.other == sum(counts.values())
        assert "label 999" in kept.counts


class TestAlerts:
    def test_one_of_a_kind_is_open_at_a_time(self, store):
        store.alerts.raise_("cam1", AlertKind.HOT, "81 °C", T0)
        store.alerts.raise_("cam1", AlertKind.HOT, "82 °C", T0 + 5)
        (alert,) = store.alerts.open()
        assert (alert.message, alert.opened_at) == ("82 °C", T0)
        store.alerts.resolve("cam1", AlertKind.HOT, T0 + 9)
        assert store.alerts.open() == []
        store.alerts.raise_("cam1", AlertKind.HOT, "83 °C", T0 + 20)
        assert [one.resolved_at for one in store.alerts.newest()] == [None, T0 + 9]

    def test_acknowledged_is_noted(self, store):
        store.alerts.raise_("cam1", AlertKind.OFFLINE, "Gone.", T0)
        (alert,) = store.alerts.open()
        store.alerts.acknowledge(alert.id)
        assert store.alerts.open()[0].acknowledged_at is not None
        with pytest.raises(RunNotFound, match="alerts"):
            store.alerts.acknowledge(alert.id + 1)

    def test_what_was_resolved_long_ago_is_dropped(self, store):
        store.alerts.raise_("cam1", AlertKind.OFFLINE, "Gone.", T0)
        store.alerts.resolve("cam1", AlertKind.OFFLINE, T0 + 1)
        store.alerts.drop_old(T0 + 31 * 86400)
        assert store.alerts.newest() == []
