"""The driver over a real store and simulated devices; the steward and the other things it looks after."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slimcast.errors import FleetError, RolloutError, StoreError
from slimcast.fleet.device_keeper import DeviceKeeper
from slimcast.fleet.reconciler import FIRST_AFTER_S, Reconciler
from slimcast.fleet.rollout_driver import RolloutDriver
from slimcast.fleet.rollout_start import RolloutWish, line_up, make_plan, parse_stages, start
from slimcast.fleet.selection import select
from slimcast.fleet.steward import SETTLE_S, Steward
from slimcast.fleet_records import KnownDevice, Rollout, RolloutPlan, RolloutState, RolloutStep, Stage
from slimcast.store import Store
from slimcast_edge.wire import DeviceState
from support_rollout import NEW, OLD, T0, SimulatedFleet, new_rollout, simulated
from support_store import make_recipe, make_settings, make_variant

STEP_S = 5.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(make_settings(tmp_path))
    yield store
    store.close()


def drive(
    store: Store, fleet: SimulatedFleet, *, until: Callable[[], bool], driver: RolloutDriver | None = None
) -> None:
    driver = driver or RolloutDriver(fleet, store.rollouts)
    for _ in range(400):
        driver.tick(dict(fleet.known), fleet.now)
        if until():
            return
        fleet.pass_time(STEP_S)
    pytest.fail("it did not come so far")


def states(store: Store) -> list[RolloutState]:
    return [rollout.state for rollout in reversed(store.rollouts.newest())]


def created(store: Store, names: list[str], **more) -> Rollout:
    return store.rollouts.create(new_rollout(names, **more))


def test_a_roll_out_goes_through_and_is_written_down(store):
    fleet = simulated(4)
    made = created(store, list(fleet.known))
    drive(store, fleet, until=lambda: states(store) == [RolloutState.SUCCEEDED])
    done = store.rollouts.get(made.id)
    assert {device.step for device in done.devices} == {RolloutStep.ACTIVE}
    assert {device.previous for device in done.devices} == {OLD}
    assert fleet.orders == [(name, NEW) for name in fleet.known]


def test_an_expelled_device_is_passed_over_and_the_others_get_the_model(store):
    fleet = simulated(4)
    made = created(store, list(fleet.known))
    gone = next(iter(fleet.known))
    fleet.known.pop(gone)
    store.expulsions.add(gone)
    driver = RolloutDriver(fleet, store.rollouts, store.expulsions.names)
    drive(store, fleet, until=lambda: states(store) == [RolloutState.SUCCEEDED], driver=driver)
    done = {device.name: device for device in store.rollouts.get(made.id).devices}
    assert done.pop(gone).message == "It has been expelled."
    assert {device.step for device in done.values()} == {RolloutStep.ACTIVE}


def test_another_studio_process_goes_on_where_the_first_one_died(store):
    fleet = simulated(4)
    created(store, list(fleet.known))
    drive(store, fleet, until=lambda: store.rollouts.newest()[0].stage == 1)
    fleet.now += 7200
    drive(store, fleet, until=lambda: states(store) == [RolloutState.SUCCEEDED])
    assert len(fleet.orders) == 4, "no order was given twice"


def test_a_process_that_dies_between_an_order_and_its_note_only_orders_again(store, monkeypatch):
    fleet = simulated(1)
    made = created(store, list(fleet.known))
    driver = RolloutDriver(fleet, store.rollouts)
    with monkeypatch.context() as patched:
        patched.setattr(store.rollouts, "save", lambda before, after: False)
        driver.tick(dict(fleet.known), fleet.now)
    drive(store, fleet, until=lambda: states(store) == [RolloutState.SUCCEEDED])
    assert fleet.orders == [("cam00", NEW)] * 2
    assert store.rollouts.get(made.id).devices[0].revision == 3


def test_of_two_roll_outs_the_newer_wins(store):
    fleet = simulated(4)
    older = created(store, list(fleet.known))
    drive(store, fleet, until=lambda: store.rollouts.newest()[0].stage == 1)
    newer = created(store, ["cam02", "cam03"], artifact="2" * 64)
    drive(store, fleet, until=lambda: states(store) == [RolloutState.SUCCEEDED] * 2)
    steps = [device.step for device in store.rollouts.get(older.id).devices]
    assert steps == ["active", "active", "replaced", "replaced"]
    assert newer.id in store.rollouts.get(older.id).devices[3].message
    assert fleet.known["cam03"].reported.active == "2" * 64


def test_halt_and_revert_by_hand(store):
    fleet = simulated(4)
    made = created(store, list(fleet.known))
    drive(store, fleet, until=lambda: store.rollouts.newest()[0].stage == 1)
    store.rollouts.request(made.id, "halt")
    drive(store, fleet, until=lambda: states(store) == [RolloutState.HALTED])
    assert fleet.known["cam00"].reported.active == NEW
    store.rollouts.request(made.id, "revert")
    drive(store, fleet, until=lambda: states(store) == [RolloutState.REVERTED])
    assert {device.reported.active for device in fleet.known.values()} == {OLD}


def test_a_former_model_that_is_not_in_the_store_is_brought_back_by_command(store, monkeypatch):
    fleet = simulated(1)
    made = created(store, list(fleet.known))
    drive(store, fleet, until=lambda: states(store) == [RolloutState.SUCCEEDED])

    def publish(device: str, artifact: str, name: str) -> int:
        raise StoreError("The artifact is not in the store.")

    monkeypatch.setattr(fleet, "publish", publish)
    store.rollouts.request(made.id, "revert")
    drive(store, fleet, until=lambda: states(store) == [RolloutState.REVERTED])
    assert fleet.commands == [("cam00", "rollback")]
    assert store.rollouts.get(made.id).devices[0].step is RolloutStep.RETURNED


def test_no_order_goes_out_while_the_broker_is_away(store):
    fleet = simulated(1)
    made = created(store, list(fleet.known))
    fleet.connected = False
    driver = RolloutDriver(fleet, store.rollouts)
    driver.tick(dict(fleet.known), fleet.now)
    assert store.rollouts.get(made.id).devices[0].message == "No MQTT broker answers."
    fleet.connected = True
    drive(store, fleet, until=lambda: states(store) == [RolloutState.SUCCEEDED], driver=driver)


class TestStart:
    def test_what_is_written_becomes_a_roll_out(self, store):
        run = store.create_run(make_recipe())
        store.save_variant(replace(make_variant(run.id), artifact="a" * 64))
        store.devices.seen({"cam1": T0, "cam2": T0})
        wish = RolloutWish(run=run.id[:8], variant="0-train", to=("all",), plan=RolloutPlan())
        made = start(store, wish)
        assert (made.title, made.artifact, made.run_id) == ("lenet5-digits 0-train", "a" * 64, run.id)
        assert [device.name for device in store.rollouts.get(made.id).devices] == ["cam1", "cam2"]

    def test_a_variant_without_artifact_is_refused(self, store):
        run = store.create_run(make_recipe())
        store.save_variant(make_variant(run.id))
        with pytest.raises(FleetError, match="no artifact"):
            start(store, RolloutWish(run=run.id, variant="0-train", to=("all",), plan=RolloutPlan()))

    def test_devices_are_selected_by_name_group_and_label(self):
        known = [
            KnownDevice(name="a", groups=("lobby",), labels=("room=2", "indoor")),
            KnownDevice(name="b", groups=("lobby",), labels=("room=3",)),
            KnownDevice(name="c"),
        ]

        def names(*to: str) -> list[str]:
            return [device.name for device in select(known, to)]

        assert names("all") == ["a", "b", "c"]
        assert names("group:lobby", "c") == ["a", "b", "c"]
        assert names("label:room") == ["a", "b"]
        assert names("label:room=3", "b") == ["b"]
        assert names("label:indoor") == ["a"]

    @pytest.mark.parametrize("to", [("nosuch",), ("group:x",), ("label:room=9",), ("",), ()])
    def test_a_selection_of_nobody_is_refused(self, to: tuple[str, ...]):
        with pytest.raises(RolloutError, match="Write 'all'"):
            select([KnownDevice(name="a", labels=("room=2",))], to)

    def test_who_shall_be_first_is_and_who_sleeps_is_last(self):
        known = [
            KnownDevice(name="a", last_seen=T0 - 9999),
            KnownDevice(name="b", last_seen=T0),
            KnownDevice(name="c", last_seen=T0),
        ]
        stages = parse_stages("1, 50%, 100%")
        devices = line_up(known, stages, ("c",), T0)
        assert [(device.name, device.stage) for device in devices] == [("c", 0), ("b", 1), ("a", 2)]
        with pytest.raises(RolloutError, match="'x' shall be first"):
            line_up(known, stages, ("x",), T0)

    @pytest.mark.parametrize("text", ["", "x", "0", "-1", "1.5", "0%", "101%", "1,,100%", "nan%"])
    def test_stages_written_wrongly_are_named(self, text: str):
        with pytest.raises(RolloutError, match="is no stage"):
            parse_stages(text)

    def test_all_that_is_wrong_with_a_plan_is_named(self):
        with pytest.raises(RolloutError, match=r"watch_s.*min_success"):
            make_plan(watch_s=-1, min_success=2)
        with pytest.raises(RolloutError, match="last stage must be 100 %"):
            make_plan(stages=[Stage(count=1)])


def test_history_is_kept_and_repeats_nothing_after_a_restart(store):
    fleet = simulated(1)
    keeper = DeviceKeeper(store.devices, store.device_log)
    keeper.tick(fleet.known, fleet.now)
    fleet.publish("cam00", NEW, "new")
    fleet.pass_time(STEP_S)
    for _ in range(3):
        keeper.tick(fleet.known, fleet.now)
    keeper = DeviceKeeper(store.devices, store.device_log)
    keeper.tick(fleet.known, fleet.now)
    entries = store.device_log.of("cam00")
    assert [(entry.artifact, entry.revision, entry.at) for entry in entries] == [
        (NEW, 2, T0 + STEP_S),
        (OLD, 1, T0),
    ]


def test_a_device_whose_clock_is_wrong_is_noted_by_the_studio_s(store):
    fleet = simulated(1)
    device = fleet.known["cam00"]
    past = device.reported.model_copy(update={"at": T0 - 5 * 365 * 86_400})
    wrong = replace(device, reported=past, clock_ahead_s=past.at - T0)
    DeviceKeeper(store.devices, store.device_log).tick({"cam00": wrong}, fleet.now)
    assert [entry.at for entry in store.device_log.of("cam00")] == [fleet.now]


def test_states_on_the_way_are_no_history(store):
    fleet = simulated(1)
    device = fleet.known["cam00"]
    busy = device.reported.model_copy(update={"state": DeviceState.DOWNLOADING})
    keeper = DeviceKeeper(store.devices, store.device_log)
    keeper.tick({"cam00": replace(device, reported=busy)}, T0)
    assert store.device_log.of("cam00") == []
    assert [known.name for known in store.devices.all()] == ["cam00"]


def test_an_order_that_a_device_does_not_take_up_is_repeated_ever_less_often():
    fleet = simulated(2)
    fleet.publish("cam00", NEW, "new")  # it never obeys: no time passes for it
    reconciler = Reconciler(fleet)
    times = []
    for second in range(600):
        before = len(fleet.repeated)
        reconciler.tick(fleet.known, T0 + second)
        times += [second] * (len(fleet.repeated) - before)
    assert set(fleet.repeated) == {"cam00"}
    gaps = [late - early for early, late in itertools.pairwise(times)]
    assert times[0] == FIRST_AFTER_S
    assert gaps == sorted(gaps) == [60, 120, 240]
    fleet.set_online("cam00", False)
    reconciler.tick(fleet.known, T0 + 5000)
    assert len(fleet.repeated) == 4


def test_a_clock_that_is_set_back_holds_no_repetition_up():
    fleet = simulated(1)
    fleet.publish("cam00", NEW, "new")
    reconciler = Reconciler(fleet)
    reconciler.tick(fleet.known, T0)
    reconciler.tick(fleet.known, T0 - 86_400)
    assert fleet.repeated == ["cam00"]
    reconciler.tick(fleet.known, T0 - 86_399)
    assert fleet.repeated == ["cam00"]


class TestSteward:
    def test_it_waits_until_the_broker_has_told_of_all_devices(self):
        fleet, seen = simulated(2), []
        steward = Steward(fleet, [Noting(seen)], clock=lambda: fleet.now)
        steward.turn()
        fleet.now += SETTLE_S
        steward.turn()
        assert seen == [(["cam00", "cam01"], fleet.now)]
        fleet.connected = False
        steward.turn()
        fleet.connected = True
        steward.turn()
        assert len(seen) == 1

    def test_one_duty_that_fails_keeps_no_other_from_its_turn(self, caplog):
        fleet, seen = simulated(1), []
        steward = Steward(fleet, [Failing(), Noting(seen)], clock=lambda: fleet.now)
        for _ in range(5):
            steward.turn()
            fleet.now += SETTLE_S
        assert len(seen) == 4
        assert [record.getMessage() for record in caplog.records] == [
            "Failing could not do its work: The disk is full."
        ]


class Noting:
    def __init__(self, seen: list) -> None:
        self.seen = seen

    def tick(self, devices, now: float) -> None:
        self.seen.append((sorted(devices), now))


class Failing:
    def tick(self, devices, now: float) -> None:
        raise StoreError("The disk is full.")
