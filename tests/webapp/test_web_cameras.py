"""A device with several cameras: each has its tile, its address, its settings and its pictures."""

import json
import struct
import warnings
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from slimcast_edge import wire
from slimcast_edge.wire import CameraOrder, CameraView, StreamSettings
from slimcast_web.app import routes
from slimcast_web.services import live, streaming
from support_wait import PATIENCE, wait_for
from support_web import device, packet, with_cameras

with warnings.catch_warnings():
    # Newer Starlettes prefer httpx2 and say so at import; httpx does as well for us.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

HERE = "http://127.0.0.1:8501"
TURNED = CameraView(rotation=90)


@pytest.fixture
def gate(opened):
    """A device with the cameras left and right, beside one with a camera that has no name."""
    made = with_cameras(device("gate"), "left", "right", trouble="It has been unplugged.")
    opened.hub.known = [device("cam1"), made]
    return made


@pytest.fixture
def client():
    return TestClient(Starlette(routes=routes()), base_url=HERE)


def ordered(made, **orders):
    desired = wire.Desired(
        site="lab", device="gate", revision=3, stream=StreamSettings(max_fps=7), cameras=orders
    )
    return replace(made, desired=desired)


def page(name, **state):
    test = AppTest.from_string(
        f"from slimcast_web.pages import {name}\n{name}.show()", default_timeout=60 * PATIENCE
    ).run()
    for key, value in state.items():
        test.session_state[key] = value
    return test.run()


def press(test, label):
    next(button for button in test.button if button.label == label).click().run()
    assert not test.exception


def texts(elements):
    return "\n".join(str(element.value) for element in elements)


class TestWall:
    def test_each_camera_is_a_tile_with_its_own_state(self, gate, opened):
        states = {state["device"]: state for state in live.device_states(opened.hub)}
        assert list(states) == ["cam1", "gate/left", "gate/right"]
        assert [state["of"] for state in states.values()] == ["cam1", "gate", "gate"]
        assert [state["fps"] for state in states.values()] == [29.7, 14.0, 0.0]
        assert [state["trouble"] for state in states.values()] == ["", "", "It has been unplugged."]

    def test_the_socket_watches_each_and_names_its_frames(self, gate, opened, client):
        def watched():
            return sorted(name for name, viewers in opened.hub.watchers.items() if viewers)

        with client.websocket_connect("ws://127.0.0.1:8501/api/live") as socket:
            socket.send_json({"devices": "*", "window": 2})
            wait_for(lambda: watched() == ["cam1", "gate/left", "gate/right"], "all cameras")
            socket.send_json({"devices": ["gate"], "paused": ["gate/right"], "window": 2})
            wait_for(lambda: watched() == ["gate/left"], "the one that is not paused")
            socket.send_json({"devices": ["gate/right", "gate/top", "cam1/left"], "window": 2})
            wait_for(lambda: watched() == ["gate/right"], "the one that is there")
            opened.hub.deliver(packet("gate", camera="right"))
            while (message := socket.receive()).get("bytes") is None:
                pass
            (length,) = struct.unpack(">I", message["bytes"][:4])
            header = json.loads(message["bytes"][4 : 4 + length])
            assert (header["device"], header["result"]["camera"]) == ("gate/right", "right")

    def test_the_page_offers_each_by_name(self, gate, opened):
        test = page("live")
        assert test.multiselect(key="live-cameras").options == ["cam1", "gate/left", "gate/right"]

    @pytest.mark.parametrize("name", ["gate.jpg", "gate/top.jpg", "gate/top.mjpg", "cam1/left.jpg"])
    def test_an_address_without_a_camera_lists_those_there_are(self, gate, client, name):
        answer = client.get(f"/api/live/{name}")
        assert answer.status_code == 404
        known = "/api/live/cam1.mjpg" if name.startswith("cam1") else "/api/live/gate/left.mjpg"
        assert known in answer.text


class TestSettings:
    def test_one_is_chosen_and_set(self, gate, opened):
        opened.hub.known = [ordered(gate, left=CameraOrder(view=TURNED))]
        test = page("fleet", **{"camera-gate": True, "camera-choice-gate": "right"})
        assert "own settings hold" in texts(test.caption)
        next(w for w in test.selectbox if w.label.startswith("Turn")).set_value(180)
        press(test, "Order this view")
        assert opened.hub.views == [("gate/right", CameraView(rotation=180))]

    def test_one_is_handed_back_to_its_own_settings(self, gate, opened):
        opened.hub.known = [ordered(gate, left=CameraOrder(view=TURNED))]
        test = page("fleet", **{"camera-gate": True})
        assert next(w for w in test.selectbox if w.label.startswith("Turn")).value == 90
        press(test, "Back to its own settings")
        assert opened.hub.views == [("gate/left", None)]

    def test_so_is_the_only_one_of_a_device(self, opened):
        desired = wire.Desired(site="lab", device="cam1", revision=3, camera=TURNED)
        opened.hub.known = [replace(device("cam1"), desired=desired)]
        test = page("fleet", **{"camera-cam1": True})
        press(test, "Back to its own settings")
        assert opened.hub.views == [("cam1", None)]

    def test_the_stream_is_ordered_for_all_or_for_one(self, gate, opened):
        opened.hub.known = [ordered(gate, left=CameraOrder(stream=StreamSettings(max_fps=3)))]
        test = page("fleet", **{"stream-gate": True})
        press(test, "Order this")
        assert opened.hub.stream_orders.pop() == ("gate", StreamSettings(max_fps=7))
        test = page("fleet", **{"stream-gate": True, "stream-choice-gate": "left"})
        press(test, "Order this")
        assert opened.hub.stream_orders.pop() == ("gate/left", StreamSettings(max_fps=3))
        press(test, "Stream as the device does")
        assert opened.hub.stream_orders.pop() == ("gate/left", None)

    def test_the_card_lists_them_with_what_is_wrong(self, gate, opened):
        test = page("fleet")
        said = texts(test.text)
        assert "2 cameras" in said
        assert "14.0 frames/s classified" in said
        assert "It has been unplugged." in said


def test_pictures_say_which_camera_took_them(gate, opened):
    taken = [packet("gate", 5, camera=camera) for camera in ("left", "right")]
    opened.hub.taken = taken
    left, right = streaming.pictures(opened, "gate")
    assert left.id != right.id
    assert [left.camera, right.camera] == ["left", "right"]
    assert right.name.startswith("gate-right-")
    assert streaming.address("gate/right", right) == f"/api/snapshots/gate/{right.id}.jpg"
