"""The roll-out's state machine against simulated devices, with a clock of its own."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimcast.fleet import rollout as machine
from slimcast.fleet_records import Rollout, RolloutPlan, RolloutState, RolloutStep, Stage
from slimcast_edge import wire
from support_rollout import NEW, OLD, SimulatedFleet, new_rollout, order, simulated

STEP_S = 5.0


def turn(rollout: Rollout, fleet: SimulatedFleet) -> Rollout:
    """One turn as the driver does it: look, decide, send."""
    devices = dict(fleet.known)
    rollout = machine.advance(rollout, devices, fleet.now)
    for due in machine.orders_due(rollout, fleet.now):
        if due.device in fleet.known:
            revision = fleet.publish(due.device, due.artifact, due.name)
            rollout = machine.sent(rollout, due, revision, devices[due.device], fleet.now)
        else:
            rollout = machine.unsent(rollout, due, "Nothing has been heard of it.", fleet.now)
    return rollout


def run(rollout: Rollout, fleet: SimulatedFleet, *, for_s: float = 5000.0) -> Rollout:
    end = fleet.now + for_s
    while rollout.state.is_open() and fleet.now < end:
        rollout = turn(rollout, fleet)
        fleet.pass_time(STEP_S)
    return rollout


def steps(rollout: Rollout) -> list[str]:
    return [device.step.value for device in rollout.devices]


def active(fleet: SimulatedFleet) -> list[str]:
    return [name for name, device in fleet.known.items() if device.reported.active == NEW]


def test_stages_follow_each_other_and_all_run_it_in_the_end():
    fleet, reached = simulated(8), []
    rollout = new_rollout(list(fleet.known))
    while rollout.state.is_open():
        rollout = turn(rollout, fleet)
        fleet.pass_time(STEP_S)
        if not reached or len(active(fleet)) != reached[-1]:
            reached.append(len(active(fleet)))
    assert reached == [1, 2, 8]
    assert rollout.state is RolloutState.SUCCEEDED
    assert set(steps(rollout)) == {"active"}
    assert fleet.now - rollout.created_at >= 3 * 60, "each stage is watched"


def test_a_canary_that_refuses_halts_before_anybody_else_is_asked():
    fleet = simulated(8, refusing={"cam00"})
    rollout = run(new_rollout(list(fleet.known)), fleet)
    assert rollout.state is RolloutState.REVERTED
    assert fleet.orders == [("cam00", NEW), ("cam00", OLD)], "what is ordered is what it runs"
    assert "cam00: It is too slow." in rollout.reason
    assert steps(rollout) == ["returned"] + ["spared"] * 7
    assert rollout.devices[0].message == "It is too slow."


def test_failures_in_a_late_stage_revert_those_who_have_switched():
    fleet = simulated(8, refusing={"cam04", "cam05"})
    rollout = run(new_rollout(list(fleet.known)), fleet)
    assert rollout.state is RolloutState.REVERTED
    assert active(fleet) == []
    assert rollout.count(RolloutStep.RETURNED) == 8


def test_without_revert_who_has_switched_keeps_it():
    fleet = simulated(8, refusing={"cam04", "cam05"})
    plan = RolloutPlan(watch_s=60, patience_s=600, revert=False)
    rollout = run(new_rollout(list(fleet.known), plan), fleet)
    assert rollout.state is RolloutState.HALTED
    assert len(active(fleet)) == 6


def test_a_failure_below_the_threshold_is_taken():
    fleet = simulated(12, refusing={"cam11"})
    rollout = run(new_rollout(list(fleet.known)), fleet)
    assert rollout.state is RolloutState.SUCCEEDED
    assert rollout.count(RolloutStep.ACTIVE) == 11


def test_a_device_that_becomes_slow_under_watch_halts_it():
    fleet = simulated(4, slowing={"cam00"})
    rollout = run(new_rollout(list(fleet.known)), fleet)
    assert rollout.state is RolloutState.REVERTED
    assert "20.00 ms for an image; before it took 2.00 ms" in rollout.reason
    assert fleet.known["cam00"].reported.active == OLD


def test_one_slow_message_is_no_reason():
    fleet = simulated(1)
    rollout = turn(new_rollout(["cam00"]), fleet)
    fleet.slowing = {"cam00"}
    fleet.pass_time(STEP_S)
    rollout = turn(rollout, fleet)  # active
    fleet.pass_time(STEP_S)
    rollout = turn(rollout, fleet)
    assert rollout.devices[0].strikes == 1
    fleet.slowing = set()
    assert run(rollout, fleet).state is RolloutState.SUCCEEDED


def test_error_events_under_watch_halt_it():
    fleet = simulated(1)
    rollout = turn(new_rollout(["cam00"]), fleet)
    fleet.pass_time(STEP_S)
    rollout = turn(rollout, fleet)
    errors = tuple(
        wire.Event(session="s1", at=fleet.now + n, kind=wire.EventKind.ERROR, message="x")
        for n in range(1, 5)
    )
    fleet.known["cam00"] = replace(fleet.known["cam00"], events=errors)
    rollout = turn(rollout, fleet)
    assert "4 errors" in rollout.reason


def test_a_device_that_vanishes_with_the_new_model_halts_it():
    fleet = simulated(4, crashing={"cam00"})
    rollout = run(new_rollout(list(fleet.known)), fleet, for_s=120)
    assert rollout.state is RolloutState.REVERTING
    assert "Missing: cam00" in rollout.reason
    assert fleet.orders == [("cam00", NEW), ("cam00", OLD)]
    rollout = run(rollout, fleet)
    assert rollout.state is RolloutState.REVERTED, "it does not wait for ever"
    fleet.crashing = set()
    fleet.set_online("cam00", True)
    fleet.pass_time(STEP_S)
    assert fleet.known["cam00"].reported.active == OLD, "the order waits for its return"


class TestOfflineDevices:
    def test_the_stage_waits_for_them(self):
        fleet = simulated(4)
        fleet.set_online("cam03", False)
        rollout = run(new_rollout(list(fleet.known)), fleet, for_s=500)
        assert (rollout.state, rollout.stage) == (RolloutState.RUNNING, 2)
        fleet.set_online("cam03", True)
        assert run(rollout, fleet).state is RolloutState.SUCCEEDED

    def test_with_a_limit_after_which_they_count_as_missing(self):
        fleet = simulated(4)
        fleet.set_online("cam03", False)
        rollout = run(new_rollout(list(fleet.known)), fleet)
        assert rollout.state is RolloutState.REVERTED
        assert "Only 3 of 4" in rollout.reason

    def test_a_few_are_left_behind_and_follow_when_they_are_back(self):
        fleet = simulated(12)
        fleet.set_online("cam11", False)
        rollout = run(new_rollout(list(fleet.known)), fleet)
        assert rollout.state is RolloutState.SUCCEEDED
        assert rollout.devices[11].step is RolloutStep.ORDERED
        fleet.set_online("cam11", True)
        fleet.pass_time(STEP_S)
        assert fleet.known["cam11"].reported.active == NEW

    def test_a_halt_takes_orders_back_that_nobody_has_carried_out(self):
        fleet = simulated(2)
        for name in fleet.known:
            fleet.set_online(name, False)
        rollout = turn(new_rollout(list(fleet.known)), fleet)
        rollout = machine.halt(rollout, fleet.known, fleet.now, reason="by hand", revert=False)
        run(rollout, fleet)
        fleet.set_online("cam00", True)
        fleet.pass_time(STEP_S)
        assert fleet.known["cam00"].reported.active == OLD

    def test_a_device_that_was_never_heard_of_is_tried_again(self):
        fleet = simulated(1)
        rollout = turn(new_rollout(["cam00", "unknown"], RolloutPlan(stages=[Stage(share=1)])), fleet)
        assert rollout.devices[1].message == "Nothing has been heard of it."
        assert machine.orders_due(rollout, fleet.now + 1) == []
        assert [o.device for o in machine.orders_due(rollout, fleet.now + machine.RETRY_S)] == ["unknown"]


class TestNewerOrders:
    def test_an_order_by_hand_replaces_ours(self):
        fleet = simulated(1)
        rollout = turn(new_rollout(["cam00"]), fleet)
        fleet.publish("cam00", "2" * 64, "by hand")
        fleet.pass_time(STEP_S)
        rollout = run(rollout, fleet)
        assert rollout.state is RolloutState.REPLACED
        assert "newer order" in rollout.devices[0].message

    def test_an_order_to_a_device_that_still_waits_is_respected(self):
        fleet = simulated(2)
        rollout = turn(new_rollout(list(fleet.known)), fleet)
        fleet.publish("cam01", "2" * 64, "by hand")
        rollout = run(rollout, fleet)
        assert steps(rollout) == ["active", "replaced"]
        assert fleet.known["cam01"].reported.active == "2" * 64

    def test_other_settings_for_the_same_model_change_nothing(self):
        fleet = simulated(1)
        rollout = turn(new_rollout(["cam00"]), fleet)
        fleet.publish("cam00", NEW, "new")  # as `set_stream` does: the artifact stays, the revision grows
        rollout = run(rollout, fleet)
        assert rollout.state is RolloutState.SUCCEEDED

    def test_a_newer_roll_out_wins_and_the_older_says_so(self):
        fleet = simulated(4)
        older = turn(new_rollout(list(fleet.known)), fleet)
        older = machine.give_up(older, {"cam01", "cam02"}, "Roll-out r2 has taken its place.", fleet.now)
        older = run(older, fleet)
        assert older.state is RolloutState.SUCCEEDED
        assert [d.message for d in older.devices][1:3] == ["Roll-out r2 has taken its place."] * 2
        assert active(fleet) == ["cam00", "cam03"]


class TestReturning:
    def test_a_finished_roll_out_can_be_reverted(self):
        fleet = simulated(3)
        rollout = run(new_rollout(list(fleet.known)), fleet)
        rollout = machine.halt(rollout, fleet.known, fleet.now, reason="by hand", revert=True)
        rollout = run(rollout, fleet)
        assert rollout.state is RolloutState.REVERTED
        assert set(steps(rollout)) == {"returned"}
        assert active(fleet) == []

    def test_a_device_without_a_former_model_keeps_the_new_one(self):
        fleet = simulated(1)
        first = fleet.known["cam00"]
        empty = first.reported.model_copy(update={"active": None, "active_name": ""})
        fleet.known["cam00"] = replace(first, reported=empty, desired=None)
        rollout = run(new_rollout(["cam00"]), fleet)
        rollout = machine.halt(rollout, fleet.known, fleet.now, reason="by hand", revert=True)
        rollout = run(rollout, fleet)
        assert rollout.devices[0].step is RolloutStep.KEPT
        assert "no model before" in rollout.devices[0].message

    def test_an_order_that_cannot_be_sent_is_given_up_in_the_end(self):
        fleet = simulated(1)
        rollout = run(new_rollout(["cam00"]), fleet)
        rollout = machine.halt(rollout, fleet.known, fleet.now, reason="by hand", revert=True)
        (due,) = machine.orders_due(rollout, fleet.now)
        rollout = machine.unsent(rollout, due, "The artifact is gone.", fleet.now)
        for _ in range(200):
            rollout = machine.advance(rollout, fleet.known, fleet.now)
            fleet.pass_time(STEP_S)
        assert rollout.state is RolloutState.REVERTED
        assert (rollout.devices[0].step, rollout.devices[0].message) == ("kept", "The artifact is gone.")


def test_time_in_which_nobody_looked_is_no_watch():
    fleet = simulated(2)
    rollout = new_rollout(list(fleet.known))
    for _ in range(3):
        rollout = turn(rollout, fleet)
        fleet.pass_time(STEP_S)
    assert rollout.watch_at is not None
    fleet.now += 3600  # the studio was down
    rollout = turn(rollout, fleet)
    assert rollout.stage == 0
    assert fleet.now - rollout.watch_at < 60


def test_a_clock_that_is_set_back_lengthens_no_watch():
    fleet = simulated(2)
    rollout = new_rollout(list(fleet.known))
    for _ in range(3):
        rollout = turn(rollout, fleet)
        fleet.pass_time(STEP_S)
    watched_s = fleet.now - rollout.watch_at
    fleet.now -= 3600
    rollout = turn(rollout, fleet)
    assert 0 <= fleet.now - rollout.watch_at <= watched_s


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    stages=st.lists(
        st.builds(Stage, count=st.integers(1, 9)) | st.builds(Stage, share=st.floats(0.01, 1.0)), max_size=4
    ),
    limits=st.fixed_dictionaries(
        {
            "min_success": st.floats(0, 1),
            "max_failed": st.floats(0, 1),
            "watch_s": st.sampled_from([0.0, 20.0]),
            "revert": st.booleans(),
        }
    ),
)
def test_whatever_devices_do_it_ends_and_keeps_its_promises(seed: int, stages: list[Stage], limits: dict):
    chance = random.Random(seed)
    fleet = simulated(chance.randint(1, 9))
    names = sorted(fleet.known)
    for kind in (fleet.refusing, fleet.crashing, fleet.slowing):
        kind.update(name for name in names if chance.random() < 0.15)
    rollout = new_rollout(names, RolloutPlan(stages=[*stages, Stage(share=1.0)], patience_s=60, **limits))
    for _ in range(400):
        if not rollout.state.is_open():
            break
        rollout = turn(rollout, fleet)
        ordered = {name for name, sha256 in fleet.orders if sha256 == NEW}
        assert ordered <= {d.name for d in rollout.devices if d.stage <= rollout.stage}, "before its stage"
        if chance.random() < 0.1:
            fleet.set_online(chance.choice(names), chance.random() < 0.5)
        if chance.random() < 0.03:
            fleet.publish(chance.choice(names), "2" * 64, "by hand")
        fleet.pass_time(STEP_S)
    assert not rollout.state.is_open()
    assert rollout.finished_at is not None
    assert rollout.count(RolloutStep.DUE, RolloutStep.RETURN_DUE) == 0
    if rollout.state is RolloutState.REVERTED:
        for device in rollout.devices:
            seen = fleet.known[device.name]
            if device.step is RolloutStep.RETURNED:
                assert seen.reported.active == OLD or seen.desired.revision > device.revision
            if seen.desired.artifact.sha256 == NEW:
                assert device.step in {RolloutStep.FAILED, RolloutStep.KEPT}, "left with the model unsaid"


@pytest.mark.parametrize("step", [RolloutStep.WAITING, RolloutStep.ORDERED, RolloutStep.ACTIVE])
def test_looking_again_at_once_changes_nothing(step: RolloutStep):
    fleet = simulated(3)
    rollout = new_rollout(list(fleet.known))
    while step not in {d.step for d in rollout.devices}:
        rollout = turn(rollout, fleet)
        fleet.pass_time(STEP_S)
    once = machine.advance(rollout, fleet.known, fleet.now)
    assert machine.advance(once, fleet.known, fleet.now) == once


def test_an_older_order_of_the_broker_is_no_newer_one():
    fleet = simulated(1)
    rollout = turn(new_rollout(["cam00"]), fleet)
    fleet.known["cam00"] = replace(fleet.known["cam00"], desired=order("cam00", 1, OLD))
    rollout = turn(rollout, fleet)
    assert rollout.devices[0].step is RolloutStep.ORDERED
