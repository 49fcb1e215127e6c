"""The Live page: what its address may say, pausing, and pictures taken from the wall."""

import json
import re
import threading
import warnings
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from slimcast.errors import FleetError
from slimcast_edge import wire
from slimcast_web.app import routes
from slimcast_web.components import live_wall
from slimcast_web.services import live, streaming
from support_wait import PATIENCE, wait_for
from support_web import device, packet

with warnings.catch_warnings():
    # Newer Starlettes prefer httpx2 and say so at import; httpx does as well for us.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

LIVE = "ws://127.0.0.1:8501/api/live"
SAFE_ADDRESS = re.compile(r"/api/snapshots/cam1/[0-9a-f]{16}\.jpg")


def page(**query: str) -> AppTest:
    test = AppTest.from_string(
        "from slimcast_web.pages import live\nlive.show()", default_timeout=60 * PATIENCE
    )
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


@pytest.fixture
def walls(monkeypatch):
    """What the page has handed to the wall: cameras, and whether it is a kiosk."""
    shown = []
    monkeypatch.setattr(
        live_wall, "show", lambda devices=(), *, kiosk=False, compare=(): shown.append((list(devices), kiosk))
    )
    return shown


@pytest.fixture
def socket(opened):
    opened.hub.known = [device("cam1"), device("cam2")]
    client = TestClient(Starlette(routes=routes()), base_url="http://127.0.0.1:8501")
    with client.websocket_connect(LIVE) as connected:
        yield connected


def watched(hub) -> list[str]:
    return sorted(name for name, viewers in hub.watchers.items() if viewers)


def next_picture(socket) -> dict[str, str]:
    while True:
        message = socket.receive_json()
        if "picture" in message:
            return message["picture"]


class TestAddress:
    def test_it_names_the_cameras_that_are_shown(self, opened, walls):
        opened.hub.known = [device("cam1"), device("cam2"), device("shed")]
        test = page(device="cam2,shed")
        assert test.multiselect(key="live-cameras").value == ["cam2", "shed"]
        assert walls[-1] == (["cam2", "shed"], False)

    def test_a_choice_goes_into_it_and_all_leave_it(self, opened, walls):
        opened.hub.known = [device("cam1"), device("cam2")]
        test = page()
        assert walls[-1] == ([], False)
        test.multiselect(key="live-cameras").set_value(["cam2", "cam1"]).run()
        assert test.query_params["device"] == "cam2,cam1"
        assert walls[-1] == (["cam2", "cam1"], False)
        test.multiselect(key="live-cameras").set_value([]).run()
        assert "device" not in test.query_params

    def test_a_camera_that_has_not_reported_stays_chosen(self, opened, walls):
        opened.hub.known = [device("cam1")]
        test = page(device="later")
        assert not test.exception
        assert walls[-1] == (["later"], False)

    def test_a_kiosk_shows_the_named_ones_and_nothing_else(self, opened, walls):
        test = page(kiosk="1", device="cam1,cam2")
        assert walls == [(["cam1", "cam2"], True)]
        assert not test.title
        assert not test.multiselect

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("", []),
            ("cam1,,cam1, cam2", ["cam1"]),
            ("../x,+,#,blob,blob/a,a/b/c,/a,a/,a/+,<b>,cam1\n,ok", ["ok"]),
            ("gate/left,gate,gate/left", ["gate/left", "gate"]),
            ("x" * 65, []),
        ],
    )
    def test_what_can_be_no_name_is_passed_over(self, text, names):
        assert live.named(text) == names

    def test_it_is_bounded(self):
        assert len(live.named(",".join(f"cam{number}" for number in range(5000)))) == live.MAX_DEVICES

    def test_pictures_stand_below_a_camera_that_is_shown_alone(self, opened, walls):
        opened.hub.known = [device("cam1"), device("cam2")]
        assert [panel.label for panel in page(device="cam1").expander] == ["Pictures of cam1"]
        assert not page().expander


class TestPause:
    def test_one_that_is_paused_is_watched_no_more_until_it_goes_on(self, opened, socket):
        socket.send_json({"devices": "*", "window": 2})
        wait_for(lambda: watched(opened.hub) == ["cam1", "cam2"], "both cameras to be watched")
        socket.send_json({"devices": "*", "paused": ["cam1"], "window": 2})
        wait_for(lambda: watched(opened.hub) == ["cam2"], "cam1 to be free")
        opened.hub.known.append(device("cam3"))
        wait_for(lambda: watched(opened.hub) == ["cam2", "cam3"], "the new camera; cam1 stays free")
        socket.send_json({"devices": "*", "paused": [], "window": 2})
        wait_for(lambda: watched(opened.hub) == ["cam1", "cam2", "cam3"], "all three")

    def test_when_all_are_nobody_is_watched(self, opened, socket):
        socket.send_json({"devices": ["cam1"]})
        wait_for(lambda: watched(opened.hub) == ["cam1"], "cam1 to be watched")
        socket.send_json({"devices": []})
        wait_for(lambda: watched(opened.hub) == [], "nobody to be watched")

    @pytest.mark.parametrize("paused", [3, "cam1", [1, None], {"cam1": 1}])
    def test_rubbish_pauses_nothing(self, opened, socket, paused):
        socket.send_text(json.dumps({"devices": "*", "paused": paused}))
        wait_for(lambda: watched(opened.hub) == ["cam1", "cam2"], "both cameras to be watched")

    def test_what_a_thread_asks_for_after_the_tab_has_closed_is_not_watched(self, opened):
        opened.hub.known = [device("cam1")]
        viewer = live.Viewer(opened.hub, lambda: None)
        viewer.close()
        viewer.want(["cam1"], 2)
        assert watched(opened.hub) == []


class TestPicture:
    @pytest.fixture
    def takes(self, opened, monkeypatch):
        """Devices that send the picture after they have answered, beside an old one of the same number."""
        old = packet("cam1", number=5, label="old")
        opened.hub.taken = [replace(old, received_at=old.received_at - 60)]

        def command(name, _command, _args, _timeout_s):
            taken = packet(name, number=5, label="7")
            taken = replace(taken, result=taken.result.model_copy(update={"session": "s2"}))
            threading.Timer(0.1, lambda: opened.hub.taken.insert(0, taken)).start()
            return wire.Reply(id="x", ok=True, result={"frame": 5})

        monkeypatch.setattr(opened.hub, "command", command)

    def test_its_address_comes_once_it_has_arrived(self, opened, socket, takes):
        socket.send_json({"picture": "cam1"})
        told = next_picture(socket)
        assert told["device"] == "cam1"
        assert not told["error"]
        assert SAFE_ADDRESS.fullmatch(told["address"])
        with TestClient(Starlette(routes=routes())) as client:
            assert client.get(told["address"]).content == opened.hub.taken[0].jpeg

    def test_the_picture_is_the_new_one(self, opened, takes):
        assert streaming.take_and_wait(opened, "cam1").label == "7 · 98 %"

    def test_a_refusal_is_a_sentence_on_the_tile(self, opened, socket):
        opened.hub.refusal = "The disk is full."
        socket.send_json({"picture": "cam1"})
        assert "The disk is full." in next_picture(socket)["error"]

    def test_one_that_does_not_come_is_said(self, opened):
        with pytest.raises(FleetError, match="did not arrive within"):
            streaming.take_and_wait(opened, "cam1", timeout_s=0.1)

    def test_frames_flow_while_a_picture_is_waited_for(self, opened, socket, monkeypatch):
        answer = threading.Event()

        def command(*_arguments):
            answer.wait(30)
            raise FleetError("It did not answer.")

        monkeypatch.setattr(opened.hub, "command", command)
        try:
            socket.send_json({"picture": "cam1"})
            socket.send_json({"devices": ["cam2"]})
            wait_for(lambda: watched(opened.hub) == ["cam2"], "cam2 to be watched")
            opened.hub.deliver(packet("cam2", number=3))
            while socket.receive().get("bytes") is None:
                pass
        finally:
            answer.set()
        assert next_picture(socket)["error"] == "It did not answer."
