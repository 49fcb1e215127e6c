"""The Fleet page's roll-outs, groups, history and alerts, on a real store; and the services behind them."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.fleet.rollout_driver import RolloutDriver
from slimcast.fleet_records import AlertKind, HistoryEntry, RolloutPlan, RolloutState, RolloutStep
from slimcast_edge.wire import ArtifactRef, Desired, DeviceState
from slimcast_web.services import alerts, fleet, registry, rollouts
from support_rollout import T0, fleet_device, new_rollout, simulated
from support_wait import PATIENCE
from support_web import finished_run

OPEN = ("rollout-new", "device-editor", "history-cam1")


def page(*, opened_panels: tuple[str, ...] = OPEN) -> AppTest:
    test = AppTest.from_string(
        "from slimcast_web.pages import fleet\nfleet.show()", default_timeout=60 * PATIENCE
    )
    for key in opened_panels:
        test.session_state[key] = True
    return test.run()


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def button(test: AppTest, label: str):
    return next(button for button in test.button if button.label == label)


@pytest.fixture
def cameras(opened):
    """Two devices, one with a group and a label, and a run to publish."""
    opened.hub.known = [fleet_device("cam1"), fleet_device("cam2")]
    opened.store.devices.seen({"cam1": T0, "cam2": T0})
    opened.store.devices.describe("cam1", groups=["lobby"], labels=["room=2"], note="")
    return finished_run(opened.store)


class TestRollouts:
    def test_it_is_started_as_the_form_says(self, opened, cameras):
        test = page()
        assert test.multiselect(key="rollout-to").options == [
            "all", "group:lobby", "label:room=2", "cam1", "cam2",
        ]  # fmt: skip
        test.multiselect(key="rollout-to").set_value(["group:lobby", "cam2"])
        test.text_input(key="rollout-stages").set_value("1, 100%")
        test.number_input(key="rollout-watch").set_value(30.0)
        test.number_input(key="rollout-errors").set_value(7)
        button(test, "Start the roll-out").click().run()
        assert not test.exception
        (made,) = opened.store.rollouts.newest()
        assert [device.name for device in made.devices] == ["cam1", "cam2"]
        assert (made.plan.watch_s, [str(stage) for stage in made.plan.stages]) == (30.0, ["1", "100 %"])
        assert (made.plan.min_success, made.plan.max_errors) == (RolloutPlan().min_success, 7)
        assert made.run_id == cameras.id
        assert made.id in texts(test.success)
        assert made.title in texts(test.text)

    @pytest.mark.parametrize(
        ("stages", "to", "said"),
        [("one", ["all"], "is no stage"), ("1", ["all"], "must be 100 %"), ("100%", [], "No device")],
    )
    def test_what_is_wrong_is_said(self, opened, cameras, stages: str, to: list[str], said: str):
        test = page()
        test.text_input(key="rollout-stages").set_value(stages)
        test.multiselect(key="rollout-to").set_value(to)
        button(test, "Start the roll-out").click().run()
        assert said in texts(test.code)
        assert opened.store.rollouts.newest() == []

    def test_what_has_arrived_is_said_by_device(self, opened, cameras):
        made = opened.store.rollouts.create(new_rollout(["cam1", "cam2"]))
        busy = opened.hub.known[0]
        ref = ArtifactRef(sha256=made.artifact, size_bytes=14_000_000, chunk_bytes=131_072, name="m")
        order = Desired(site="lab", device="cam1", revision=9, artifact=ref)
        state = {"revision": 9, "state": DeviceState.DOWNLOADING, "progress": 0.25}
        busy = replace(busy, desired=order, reported=busy.reported.model_copy(update=state))
        opened.hub.known[0] = busy
        test = page(opened_panels=(f"rollout-devices-{made.id}",))
        assert not test.exception
        assert "3.50 MB of 14.0 MB (25 %)" in [bar.proto.text for bar in test.get("progress")]
        table = next(frame.value for frame in test.dataframe if "arrived" in frame.value)
        assert list(table["arrived"]) == ["3.50 MB of 14.0 MB (25 %)", ""]
        # Of an older order's download nothing is known in bytes.
        older = replace(busy, desired=order.model_copy(update={"revision": 10}))
        assert fleet.arrived(older) == "25 %"

    def test_halt_and_bringing_back_are_asked_for(self, opened, cameras):
        made = opened.store.rollouts.create(new_rollout(["cam1", "cam2"]))
        hub = simulated(0)
        hub.known = {device.name: device for device in opened.hub.known}
        RolloutDriver(hub, opened.store.rollouts).tick(hub.known, hub.now)
        test = page()
        assert "0 of 2 devices run it; stage 1 of 3 reaches 1, waiting for 1" in [
            progress.proto.text for progress in test.get("progress")
        ]
        button(test, "Halt").click().run()
        assert opened.store.rollouts.get(made.id).request == "halt"
        test.run()
        assert "To halt it is noted." in texts(test.caption)
        assert [b.label for b in test.button if b.label in {"Halt", "Bring back the former model"}] == []

    def test_what_has_ended_can_be_brought_back_but_not_halted(self, opened, cameras):
        made = opened.store.rollouts.create(new_rollout(["cam1"]))
        done = tuple(replace(device, step=RolloutStep.ACTIVE) for device in made.devices)
        opened.store.rollouts.save(made, replace(made, state=RolloutState.SUCCEEDED, devices=done))
        test = page()
        assert "Halt" not in [b.label for b in test.button]
        button(test, "Bring back the former model").click().run()
        assert opened.store.rollouts.get(made.id).request == "revert"

    def test_only_the_last_ones_that_have_ended_are_shown(self, opened):
        for _ in range(5):
            made = opened.store.rollouts.create(new_rollout(["cam1"]))
            opened.store.rollouts.save(made, replace(made, state=RolloutState.REPLACED))
        going = opened.store.rollouts.create(new_rollout(["cam1"]))
        assert rollouts.shown(opened)[0].id == going.id
        assert len(rollouts.shown(opened)) == 1 + rollouts.SHOWN_AFTER_END

    def test_progress_is_a_sentence(self):
        made = new_rollout(["cam1", "cam2"])
        steps = [replace(made.devices[0], step=RolloutStep.ACTIVE), made.devices[1]]
        watched = replace(made, stage=0, stage_at=T0, watch_at=T0, devices=tuple(steps))
        assert rollouts.progress(watched, T0 + 15) == (
            "1 of 2 devices run it; stage 1 of 3 reaches 1, watched for 45 s more"
        )
        back = replace(made, state=RolloutState.REVERTING, devices=(replace(steps[0], step="returned"),))
        assert rollouts.progress(back) == "1 device back on the former model"


class TestDevices:
    def test_groups_and_labels_are_read_as_they_are_written(self, opened, cameras):
        registry.describe(opened, "cam2", "lobby, door", " room=3 ,", "New.")
        assert rollouts.targets(opened)[:5] == [
            "all", "group:door", "group:lobby", "label:room=2", "label:room=3",
        ]  # fmt: skip

    def test_a_group_is_rolled_back(self, opened, cameras):
        test = page()
        test.multiselect(key="device-rollback").set_value(["group:lobby"]).run()
        button(test, "Roll back all of these").click().run()
        assert opened.hub.commands == [("cam1", "rollback")]
        assert "Rolled back: cam1." in texts(test.success)

    def test_who_does_not_roll_back_is_said(self, opened, cameras):
        opened.hub.refusal = "There is no previous model."
        outcome = registry.roll_back(opened, ["all"])
        assert outcome["cam2"] == "cam2 did not roll back: There is no previous model."
        assert outcome.keys() == {"cam1", "cam2"}

    def test_a_device_is_forgotten(self, opened, cameras):
        test = page()
        test.selectbox(key="device-remove").set_value("cam2").run()
        button(test, "Forget").click().run()
        assert not test.exception
        assert [device.name for device in opened.store.devices.all()] == ["cam1"]
        assert [device.name for device in opened.hub.known] == ["cam1"]

    def test_history_is_shown(self, opened, cameras):
        entry = HistoryEntry(
            device="cam1",
            at=T0,
            revision=4,
            state="rolled_back",
            artifact=None,
            name="",
            message="<b>Slow</b>",
        )
        opened.store.device_log.add([entry])
        test = page()
        shown = next(frame.value for frame in test.dataframe if "why" in frame.value)
        assert list(shown.iloc[0])[1:] == ["rolled back", "none", "<b>Slow</b>", "4"]

    def test_closed_panels_read_nothing(self, opened, cameras, monkeypatch):
        monkeypatch.setattr(registry, "history", lambda *_: pytest.fail("read"))
        monkeypatch.setattr(registry, "known", lambda *_: pytest.fail("read"))
        assert not page(opened_panels=()).exception


class TestAlerts:
    def test_they_are_shown_and_acknowledged(self, opened, cameras):
        opened.store.alerts.raise_("cam1", AlertKind.HOT, "Hot: 84 °C.", T0)
        test = page()
        assert "Alerts: 1 open, 1 new" in [expander.label for expander in test.expander]
        assert "Hot: 84 °C. Since" in texts(test.text)
        button(test, "I know").click().run()
        assert opened.store.alerts.open()[0].acknowledged_at is not None
        assert "Alerts: 1 open" in [expander.label for expander in test.run().expander]

    def test_what_is_new_comes_first(self, opened):
        for number, name in enumerate(("cam1", "cam2", "cam3")):
            opened.store.alerts.raise_(name, AlertKind.OFFLINE, "Gone.", T0 + number)
        alerts.acknowledge(opened, opened.store.alerts.open()[2].id)
        assert [alert.device for alert in alerts.open_alerts(opened)] == ["cam2", "cam1", "cam3"]
