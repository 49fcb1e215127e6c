"""The routes and the token check, as ASGI; the live socket with viewers that read, stall and leave."""

import json
import struct
import warnings

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.websockets import WebSocketDisconnect

from slimcast.fleet_records import AlertKind
from slimcast_web.app import routes
from slimcast_web.middleware import TokenMiddleware
from slimcast_web.services import live
from support_web import device, finished_run, packet

with warnings.catch_warnings():
    # Newer Starlettes prefer httpx2 and say so at import; httpx does as well for us.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

TOKEN = "correct horse"
HERE = "http://127.0.0.1:8501"
LIVE = "ws://127.0.0.1:8501/api/live"


def client(token: str = "", base_url: str = HERE) -> TestClient:
    app = Starlette(routes=routes(), middleware=[Middleware(TokenMiddleware, token=token, cookie="slimcast")])
    return TestClient(app, base_url=base_url, follow_redirects=False)


def next_frame(socket) -> tuple[dict, bytes]:
    """Return the next frame; what the server says in between about its devices is passed over."""
    while True:
        message = socket.receive()
        if message.get("bytes") is not None:
            data = message["bytes"]
            (length,) = struct.unpack(">I", data[:4])
            return json.loads(data[4 : 4 + length]), data[4 + length :]


def wait_for_viewer(socket, hub, name: str = "cam1") -> None:
    """Wait until the hub has the viewer, by asking for states until it does."""
    for _ in range(50):
        if hub.watchers.get(name):
            return
        socket.receive()
    pytest.fail(f"nobody watches {name}")


class TestAlerts:
    def test_other_tools_get_them_as_json(self, opened):
        opened.store.alerts.raise_("cam1", AlertKind.HOT, "Hot.", 1000.0)
        opened.store.alerts.raise_("cam1", AlertKind.SLOW, "Slow.", 1000.0)
        opened.store.alerts.resolve("cam1", AlertKind.SLOW, 1009.0)
        (alert,) = client().get("/api/alerts").json()["alerts"]
        assert (alert["device"], alert["kind"], alert["resolved_at"]) == ("cam1", "hot", None)
        assert len(client().get("/api/alerts?all=1").json()["alerts"]) == 2
        assert client("secret").get("/api/alerts").status_code == 401


class TestStatus:
    def test_health_says_whether_there_is_a_broker(self, opened):
        assert client().get("/healthz").json() == {"status": "ok", "broker": "connected"}
        opened.hub.connected = False
        assert client().get("/healthz").json() == {"status": "ok", "broker": "away"}

    def test_metrics(self, opened):
        answer = client().get("/metrics")
        assert answer.status_code == 200
        assert "slimcast_devices_online 0" in answer.text


class TestArtifacts:
    def test_a_model_is_downloaded_under_its_name(self, opened):
        variant = opened.store.variants(finished_run(opened.store).id)[3]
        answer = client().get(f"/api/artifacts/{variant.artifact}.onnx?name=lenet5-3-int8")
        assert answer.content == opened.store.artifacts.read(variant.artifact, 0, 10_000)
        assert 'filename="lenet5-3-int8.onnx"' in answer.headers["content-disposition"]

    @pytest.mark.parametrize("name", ["../../etc/passwd", 'a"b', "a\r\nSet-Cookie: x=1", ""])
    def test_a_bad_name_is_not_used(self, opened, name):
        variant = opened.store.variants(finished_run(opened.store).id)[0]
        answer = client().get(f"/api/artifacts/{variant.artifact}.onnx", params={"name": name})
        assert f"slimcast-{variant.artifact[:12]}.onnx" in answer.headers["content-disposition"]

    @pytest.mark.parametrize("sha256", ["0" * 64, "..%2F..%2Fslimcast", "A" * 64, "short"])
    def test_what_is_not_there_is_not_found(self, opened, sha256):
        assert client().get(f"/api/artifacts/{sha256}.onnx").status_code == 404


class TestToken:
    @pytest.mark.parametrize("path", ["/", "/api/live/cam1.jpg", "/metrics", "/_stcore/health"])
    def test_without_it_nothing_is_served(self, opened, path):
        answer = client(TOKEN).get(path)
        assert answer.status_code == 401
        assert TOKEN not in answer.text

    def test_health_is_open(self, opened):
        assert client(TOKEN).get("/healthz").status_code == 200

    def test_in_the_address_it_becomes_a_cookie_and_leaves_the_address(self, opened):
        with client(TOKEN) as browser:
            answer = browser.get("/runs", params={"run": "abc", "token": TOKEN})
            assert answer.status_code == 303
            assert answer.headers["location"] == "/runs?run=abc"
            cookie = answer.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=lax" in cookie
            assert browser.get("/metrics").status_code == 200

    def test_a_redirect_stays_on_this_host(self, opened):
        answer = client(TOKEN).get(f"{HERE}//evil.example/", params={"token": TOKEN})
        assert answer.headers["location"] == "/evil.example/"

    def test_as_a_bearer_and_in_the_address_of_a_route_it_works_without_a_redirect(self, opened):
        assert client(TOKEN).get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client(TOKEN).get("/api/live/x.jpg", params={"token": TOKEN}).status_code == 404

    @pytest.mark.parametrize("wrong", ["", "correct", "correct horse ", "ünïcode"])
    def test_a_wrong_one_is_refused(self, opened, wrong):
        assert client(TOKEN).get("/metrics", params={"token": wrong}).status_code == 401

    @pytest.mark.parametrize("path", ["/api/live", "/_stcore/stream"])
    def test_it_covers_websockets(self, opened, path):
        with (
            pytest.raises(WebSocketDisconnect),
            client(TOKEN).websocket_connect(f"ws://127.0.0.1:8501{path}"),
        ):
            pass

    def test_a_websocket_with_the_cookie_is_served(self, opened):
        with client(TOKEN) as browser:
            browser.get("/", params={"token": TOKEN})
            with browser.websocket_connect(LIVE) as socket:
                assert socket.receive_json() == {"devices": []}

    @pytest.mark.parametrize("token", ["", TOKEN])
    def test_a_websocket_from_another_origin_is_refused(self, opened, token):
        headers = {"Origin": "https://evil.example", "Authorization": f"Bearer {token}"}
        with (
            pytest.raises(WebSocketDisconnect),
            client(token).websocket_connect(LIVE, headers=headers),
        ):
            pass

    def test_a_websocket_from_our_page_is_served(self, opened):
        with client().websocket_connect(LIVE, headers={"Origin": HERE}) as socket:
            assert socket.receive_json() == {"devices": []}

    def test_without_a_token_other_host_names_are_refused(self, opened):
        answer = client(base_url="http://rebound.example").get("/metrics")
        assert answer.status_code == 403
        assert "SLIMCAST_TOKEN" in answer.text


class TestLiveSocket:
    def test_frames_come_with_their_results(self, opened):
        opened.hub.known = [device()]
        with client().websocket_connect(LIVE) as socket:
            socket.send_json({"devices": ["cam1"]})
            wait_for_viewer(socket, opened.hub)
            sent = packet(number=5, label="3")
            opened.hub.deliver(sent)
            header, jpeg = next_frame(socket)
        assert jpeg == sent.jpeg
        assert header["device"] == "cam1"
        assert header["result"]["frame"] == 5
        assert header["result"]["predictions"][0]["label"] == "3"
        assert header["sent_at"] >= header["received_at"]

    def test_a_viewer_that_stalls_gets_its_window_and_then_the_newest(self, opened):
        opened.hub.known = [device()]
        with client().websocket_connect(LIVE) as socket:
            socket.send_json({"devices": ["cam1"], "window": 2})
            wait_for_viewer(socket, opened.hub)
            opened.hub.deliver(packet(number=0))
            assert next_frame(socket)[0]["result"]["frame"] == 0
            opened.hub.deliver(packet(number=1))
            assert next_frame(socket)[0]["result"]["frame"] == 1
            for number in range(2, 500):
                opened.hub.deliver(packet(number=number))
            socket.send_json({"ack": "cam1"})
            assert next_frame(socket)[0]["result"]["frame"] == 499

    def test_the_whole_fleet_can_be_asked_for_and_grows(self, opened):
        opened.hub.known = [device("cam1")]
        with client().websocket_connect(LIVE) as socket:
            socket.send_json({"devices": "*"})
            wait_for_viewer(socket, opened.hub)
            opened.hub.known = [device("cam1"), device("cam2")]
            wait_for_viewer(socket, opened.hub, "cam2")

    def test_states_are_told(self, opened):
        opened.hub.known = [device("cam1"), device("shed", online=False)]
        with client().websocket_connect(LIVE) as socket:
            states = socket.receive_json()["devices"]
        assert [(s["device"], s["online"]) for s in states] == [("cam1", True), ("shed", False)]
        assert states[0]["model"] == "lenet5-digits 3-int8"

    @pytest.mark.parametrize(
        "rubbish",
        [
            "",
            "{",
            "[]",
            '{"devices": 3}',
            '{"devices": [1, "../x", "+"]}',
            "x" * 20_000,
            "[" * 9_000,
            b"\xff",
        ],
    )
    def test_rubbish_is_passed_over(self, opened, rubbish):
        opened.hub.known = [device()]
        with client().websocket_connect(LIVE) as socket:
            (socket.send_bytes if isinstance(rubbish, bytes) else socket.send_text)(rubbish)
            socket.send_json({"devices": ["cam1"]})
            wait_for_viewer(socket, opened.hub)

    def test_one_who_leaves_is_forgotten(self, opened):
        opened.hub.known = [device()]
        with client().websocket_connect(LIVE) as socket:
            socket.send_json({"devices": ["cam1"]})
            wait_for_viewer(socket, opened.hub)
        assert opened.hub.watchers == {"cam1": {}}


class TestViewer:
    def test_a_stalled_viewer_costs_one_frame_for_each_camera(self, opened):
        opened.hub.known = [device("cam1"), device("cam2")]
        viewer = live.Viewer(opened.hub, lambda: None)
        viewer.want(["cam1", "cam2"])
        for number in range(1000):
            opened.hub.deliver(packet("cam1", number))
            opened.hub.deliver(packet("cam2", number))
        assert viewer.waiting == 2
        assert viewer.replaced == 1998
        assert {viewer.take().result.frame, viewer.take().result.frame} == {999}
        assert viewer.take() is None

    def test_a_fast_camera_does_not_starve_a_slow_one(self, opened):
        opened.hub.known = [device("fast"), device("slow")]
        viewer = live.Viewer(opened.hub, lambda: None)
        viewer.want(["fast", "slow"])
        opened.hub.deliver(packet("slow"))
        taken = []
        for number in range(4):
            opened.hub.deliver(packet("fast", number))
            taken.append(viewer.take().device)
        assert "slow" in taken[:2]

    def test_what_is_no_longer_wanted_is_dropped(self, opened):
        opened.hub.known = [device("cam1"), device("cam2")]
        viewer = live.Viewer(opened.hub, lambda: None)
        viewer.want(["cam1"])
        opened.hub.deliver(packet("cam1"))
        viewer.want(["cam2"])
        assert viewer.take() is None
        viewer.close()
        assert opened.hub.watchers == {"cam1": {}, "cam2": {}}


class TestSnapshot:
    def test_an_unknown_camera_is_named(self, opened):
        answer = client().get("/api/live/nosuch.jpg")
        assert answer.status_code == 404
        assert "nosuch" in answer.text
        assert client().get("/api/live/nosuch.mjpg").status_code == 404

    def test_the_next_frame_is_the_snapshot(self, opened, monkeypatch):
        opened.hub.known = [device()]
        sent = packet()
        watch = opened.hub.watch

        def watch_and_deliver(*arguments):
            stop = watch(*arguments)
            opened.hub.deliver(sent)
            return stop

        monkeypatch.setattr(opened.hub, "watch", watch_and_deliver)
        answer = client().get("/api/live/cam1.jpg")
        assert answer.content == sent.jpeg
        assert answer.headers["content-type"] == "image/jpeg"
        assert opened.hub.watchers == {"cam1": {}}

    def test_a_silent_camera_is_a_timeout_with_a_sentence(self, opened, monkeypatch):
        monkeypatch.setattr("slimcast_web.routes.live.FIRST_FRAME_S", 0.05)
        opened.hub.known = [device()]
        answer = client().get("/api/live/cam1.jpg")
        assert answer.status_code == 504
        assert "cam1" in answer.text
