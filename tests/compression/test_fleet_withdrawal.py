"""Withdrawn artifacts: kept, refused, and not served."""

import pytest

from slimcast.errors import FleetError
from slimcast.fleet.commands import artifact_of, find_variant
from slimcast.fleet.fresh import FRESH_S, FreshSet
from slimcast.fleet.records import Device
from slimcast.fleet.withdrawal import check_allowed, running
from slimcast.store import Store
from slimcast_edge.wire import DeviceState, Reported
from support_store import make_settings
from support_web import finished_run

SHA = "a" * 64


@pytest.fixture
def store(tmp_path):
    opened = Store.open(make_settings(tmp_path))
    yield opened
    opened.close()


def test_a_withdrawal_is_kept_until_it_is_taken_back(store):
    assert store.withdrawals.get(SHA) is None
    first = store.withdrawals.add(SHA, "lenet5 3-int8", "sees cats")
    again = store.withdrawals.add(SHA, "lenet5 3-int8", "sees cats and dogs")
    assert (again.at, again.reason) == (first.at, "sees cats and dogs")
    assert store.withdrawals.all() == [again]
    assert store.withdrawals.remove(SHA)
    assert not store.withdrawals.remove(SHA)
    assert store.withdrawals.all() == []


def test_publishing_it_again_is_refused_with_the_reason(store):
    run = finished_run(store)
    chosen = artifact_of(store, run.id, "3-int8")
    store.withdrawals.add(chosen.artifact, "lenet5 3-int8", "sees cats")
    with pytest.raises(FleetError, match=r"withdrawn \(sees cats\).*--undo"):
        artifact_of(store, run.id, "3-int8")
    assert find_variant(store, run.id, "3-int8") == chosen
    store.withdrawals.remove(chosen.artifact)
    check_allowed(store, chosen.artifact)


def test_what_another_process_withdraws_counts_within_a_second(store):
    now = 0.0
    withdrawn = FreshSet(lambda: [one.artifact for one in store.withdrawals.all()], clock=lambda: now)
    assert SHA not in withdrawn
    store.withdrawals.add(SHA, "m", "")
    assert SHA not in withdrawn
    now += FRESH_S + 0.1
    assert SHA in withdrawn


def test_devices_that_have_it_are_named():
    def device(name, **reported):
        state = Reported(session="s", revision=1, state=DeviceState.ACTIVE, at=1, **reported)
        return Device(name=name, reported=state)

    devices = [
        device("b", active=SHA),
        device("a", previous=SHA),
        device("c", active="b" * 64),
        Device(name="d"),
    ]
    assert running(devices, SHA) == ["a", "b"]
