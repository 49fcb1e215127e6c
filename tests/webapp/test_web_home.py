"""Home: the way of a first visit, what goes on, what came of it."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.errors import FleetError
from slimcast.records import RunState
from slimcast_edge.wire import DeviceState
from slimcast_web.app import MAIN_SCRIPT
from slimcast_web.services import home
from slimcast_web.services.home import Stage
from slimcast_web.services.simulated_camera import SimulatedCamera
from support_wait import PATIENCE, wait_for
from support_web import device, finished_run, running_run


class FakeCamera:
    """The port to the simulated camera: no process."""

    def __init__(self) -> None:
        self.is_on = False
        self.refusal = ""

    def start(self) -> None: ...

    def stop(self) -> None:
        self.is_on = False

    def switch_on(self) -> None:
        if self.refusal:
            raise FleetError(self.refusal)
        self.is_on = True


@pytest.fixture
def studio(opened):
    opened.camera = FakeCamera()
    return opened


def bare(name: str = "demo-camera"):
    """A camera that has connected and runs nothing yet."""
    made = device(name, state=DeviceState.IDLE)
    reported = made.reported.model_copy(update={"active": "", "revision": 0})
    return replace(made, reported=reported)


def page() -> AppTest:
    return AppTest.from_string(
        "from slimcast_web.pages import home\nhome.show()", default_timeout=60 * PATIENCE
    ).run()


def shown(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


class TestStages:
    def test_the_way_from_nothing_to_frames(self, studio):
        assert home.overview(studio).stage is Stage.COMPRESS
        run = home.start_first_run(studio)
        assert home.overview(studio).stage is Stage.WAIT
        studio.store.claim(run.id, "test")
        studio.store.finish(run.id, RunState.FAILED, "no memory")
        assert home.overview(studio).stage is Stage.COMPRESS
        finished_run(studio.store)
        assert home.overview(studio).stage is Stage.CAMERA
        home.switch_on_camera(studio)
        assert home.overview(studio).stage is Stage.CONNECT
        studio.hub.known = [bare()]
        assert home.overview(studio).stage is Stage.PUBLISH
        assert home.publish_first(studio) == "demo-camera"
        assert studio.hub.orders[0][2].endswith("3-int8")
        studio.hub.known = [device()]
        assert home.overview(studio).stage is Stage.WATCH

    def test_what_cannot_be_published_is_a_sentence(self, studio):
        with pytest.raises(FleetError, match="No camera is connected"):
            home.publish_first(studio)
        studio.hub.known = [bare()]
        with pytest.raises(FleetError, match="No run has left a model"):
            home.publish_first(studio)

    def test_results_compare_the_first_with_the_last_variant(self, studio):
        finished_run(studio.store)
        (result,) = home.overview(studio).results
        assert (result.first.name, result.last.name) == ("0-train", "3-int8")


class TestPage:
    def test_each_button_does_the_next_step(self, studio):
        test = page()
        test.button(key="first-next").click().run()
        assert not test.exception
        (run,) = studio.store.runs()
        assert run.name == "lenet5-digits-int8"
        finished_run(studio.store)
        studio.store.request_cancel(run.id)
        test = page()
        assert test.button(key="first-next").label == "Switch on the simulated camera"
        test.button(key="first-next").click().run()
        assert studio.camera.is_on

    def test_a_camera_that_does_not_start_says_why(self, studio):
        finished_run(studio.store)
        studio.camera.refusal = "The camera client did not take the studio's key."
        test = page()
        test.button(key="first-next").click().run()
        assert "did not take the studio's key" in shown(test.code)

    def test_what_goes_on_is_seen(self, studio):
        running_run(studio.store)
        finished_run(studio.store)
        studio.hub.known = [device(), device("shed", online=False)]
        test = page()
        assert "Train: epoch 5 of 15" in shown(test.text)
        assert "97.80 % to 96.90 %" in shown(test.text)
        assert test.metric[0].value == "1 of 2"

    def test_it_is_the_page_that_opens(self, studio):
        test = AppTest.from_file(MAIN_SCRIPT, default_timeout=60 * PATIENCE).run()
        assert not test.exception
        assert test.title[0].value == "Slimcast"


class TestSimulatedCamera:
    def test_its_process_is_seen_to_end_and_can_be_started_again(self, settings, monkeypatch):
        monkeypatch.setattr("slimcast.demo.camera.prepare_camera", lambda *_, **__: ["sleep", "60"])
        camera = SimulatedCamera(settings)
        assert not camera.is_on
        camera.switch_on()
        camera.switch_on()
        assert camera.is_on
        camera.stop()
        assert not camera.is_on
        monkeypatch.setattr("slimcast.demo.camera.prepare_camera", lambda *_, **__: ["false"])
        camera.switch_on()
        wait_for(lambda: not camera.is_on, "the process to be missed", 10)
