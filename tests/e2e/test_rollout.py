"""A staged roll-out to two real clients: through, halted by a bad model, brought back."""

from contextlib import contextmanager

import pytest

from slimcast.errors import FleetError
from slimcast.fleet import FleetHub
from slimcast.fleet.rollout_start import RolloutWish, make_plan, parse_stages, start
from slimcast.fleet.steward import make_steward
from slimcast.fleet_records import RolloutState, RolloutStep
from slimcast_edge.signing import public_key_to_text
from support_artifacts import LABELS, make_artifact
from support_edge import Device as ClientProcess
from support_store import make_recipe, make_variant
from support_wait import PATIENCE, wait_for

pytestmark = pytest.mark.slow(seconds=25)

NAMES = ("cam1", "cam2")
SETTLE_S = 60.0 * PATIENCE


@contextmanager
def studio(settings, store):
    """What the app's lifespan keeps running."""
    hub = FleetHub(settings, store)
    steward = make_steward(settings, hub, store)
    hub.start()
    steward.start()
    try:
        yield hub
    finally:
        steward.stop()
        hub.stop()


@pytest.fixture
def clients(broker, settings, store, tmp_path):
    key = public_key_to_text(FleetHub(settings, store).public_key)
    processes = []
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        processes.append(ClientProcess(folder, settings.effective_broker_url, key=key, device=name).start())
    yield processes
    for process in processes:
        process.stop()


def begin(store, content: bytes, name: str):
    """Put a model into the store as a run would, and start to roll it out: one device, then all."""
    run = store.create_run(make_recipe(name))
    variant = make_variant(run.id)
    store.save_variant(type(variant)(**vars(variant) | {"artifact": store.artifacts.put(content)}))
    # An overloaded machine is slow by itself: here speed is no reason.
    speed = {"max_latency_factor": 1000, "min_fps_share": 0}
    plan = make_plan(stages=parse_stages("1, 100%"), watch_s=1.0, patience_s=SETTLE_S, **speed)
    return start(
        store, RolloutWish(run=run.id, variant=variant.name, to=("all",), plan=plan, first=("cam2",))
    )


def _labels(hub, name: str) -> dict[str, int]:
    telemetry = hub.device(name).telemetry
    return telemetry.labels if telemetry is not None else {}


def wait_state(store, rollout, state: RolloutState):
    def reached():
        now = store.rollouts.get(rollout.id)
        return now if now.state is state else None

    return wait_for(reached, f"{rollout.title} to be {state}; it is {store.rollouts.get(rollout.id)}")


def test_good_models_go_through_and_a_bad_one_goes_no_further_than_the_canary(clients, settings, store):
    with studio(settings, store) as hub:
        wait_for(lambda: {d.name for d in store.devices.all()} == set(NAMES), "both to be noted")
        first = store.artifacts.put(make_artifact(name="first"))
        for name in NAMES:
            hub.wait_settled(name, hub.publish(name, first, "first"), SETTLE_S)
        second = begin(store, make_artifact(name="second", bias=0.5), "second")
        wait_for(lambda: store.rollouts.get(second.id).count(RolloutStep.ACTIVE) >= 1, "the canary")
    with studio(settings, store) as hub:  # the first studio has ended in the middle
        done = wait_state(store, second, RolloutState.SUCCEEDED)
        assert {device.step for device in done.devices} == {RolloutStep.ACTIVE}
        assert {device.previous for device in done.devices} == {first}
        labels = wait_for(lambda: _labels(hub, "cam1"), "telemetry with labels")
        assert set(labels) <= set(LABELS)

        bad = wait_state(store, begin(store, b"no ONNX file" * 100, "bad"), RolloutState.REVERTED)
        assert "cam2" in bad.reason
        assert [device.step for device in bad.devices] == [RolloutStep.RETURNED, RolloutStep.SPARED]
        assert {hub.device(name).reported.active for name in NAMES} == {done.artifact}

        store.rollouts.request(second.id, "revert")
        wait_state(store, second, RolloutState.REVERTED)
        assert {hub.device(name).reported.active for name in NAMES} == {first}
        assert {entry.artifact for entry in store.device_log.of("cam2")} >= {first, done.artifact}

        with pytest.raises(FleetError, match="online"):
            hub.forget("cam1")
        clients[0].stop()
        wait_for(lambda: not hub.device("cam1").online, "the device to leave")
        hub.forget("cam1")
        assert [device.name for device in hub.devices()] == ["cam2"]
    with studio(settings, store) as hub:
        wait_for(lambda: hub.devices(), "the devices that the broker retains")
        assert [device.name for device in hub.devices()] == ["cam2"]
