"""The stream of a device on its card: orders and what becomes of them, and the pictures it has taken."""

import re
import time
import warnings
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from streamlit.testing.v1 import AppTest

from slimcast_edge import wire
from slimcast_edge.wire import DeviceState, Event, EventKind, SnapshotRule, StreamReport, StreamSettings
from slimcast_web.app import routes
from slimcast_web.middleware import TokenMiddleware
from slimcast_web.services import streaming
from slimcast_web.services.streaming import Standing
from support_wait import PATIENCE
from support_web import device, packet

with warnings.catch_warnings():
    # Newer Starlettes prefer httpx2 and say so at import; httpx does as well for us.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

RULE = SnapshotRule(classes=["fox"], min_score=0.7, absent_s=30)
ORDERED = StreamSettings(
    max_fps=12.5, width=500, quality=60, results="always", adapt=False, overlay=["fps"], snapshots=RULE
)


def fleet_page() -> AppTest:
    script = "from slimcast_web.pages import fleet\nfleet.show()"
    return AppTest.from_string(script, default_timeout=60 * PATIENCE).run()


def texts(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


def client(token: str = "") -> TestClient:
    app = Starlette(routes=routes(), middleware=[Middleware(TokenMiddleware, token=token, cookie="slimcast")])
    return TestClient(app, base_url="http://127.0.0.1:8501")


def camera(stream=None, **options):
    """A camera; with an order for its stream, if there is one."""
    made = device(**options)
    if stream is None:
        return made
    return replace(made, desired=wire.Desired(site="lab", device="cam1", revision=3, stream=stream))


def open_panel(test, name):
    test.session_state[f"{name}-cam1"] = True
    return test.run()


def press(test, label):
    next(button for button in test.button if button.label == label).click().run()
    assert not test.exception
    return test


class TestOrders:
    @pytest.mark.parametrize("stream", [StreamSettings(), ORDERED])
    def test_the_form_shows_what_is_ordered_and_orders_it_unchanged(self, opened, stream):
        opened.hub.known = [camera(stream)]
        press(open_panel(fleet_page(), "stream"), "Order this")
        assert opened.hub.stream_orders == [("cam1", stream)]

    def test_what_is_changed_is_ordered_and_its_way_is_said(self, opened):
        opened.hub.known = [camera()]
        test = open_panel(fleet_page(), "stream")
        next(w for w in test.number_input if w.label.startswith("Frames/s")).set_value(5.0)
        next(w for w in test.slider if w.label == "JPEG quality").set_value(40)
        next(w for w in test.selectbox if w.label.startswith("Width")).set_value(320)
        next(w for w in test.selectbox if w.label.startswith("Frames and results")).set_value("always")
        next(w for w in test.multiselect if w.label.startswith("Draw")).set_value(["label", "fps"])
        next(w for w in test.checkbox if w.label.startswith("Send less")).uncheck()
        press(test, "Order this")
        stream = StreamSettings(
            max_fps=5, quality=40, width=320, always=True, overlay=["label", "fps"], adapt=False
        )
        assert opened.hub.stream_orders == [("cam1", stream)]
        assert "Waiting for it to confirm" in texts(test.info)
        opened.hub.known = [replace(device(), reported=wire.Reported(
            session="s1", revision=8, state=DeviceState.ACTIVE, at=1.0
        ))]  # fmt: skip
        assert "since revision 8" in texts(test.run().success)

    def test_a_failure_is_said_in_its_words_and_stays(self, opened):
        opened.hub.known = [camera()]
        opened.hub.refusal = "No MQTT broker answers at 127.0.0.1:1883."
        test = press(open_panel(fleet_page(), "stream"), "Order this")
        assert "No MQTT broker answers" in texts(test.code)
        assert "No MQTT broker answers" in texts(test.run().code)

    def test_classes_to_choose_from_are_those_that_were_seen(self, opened):
        opened.hub.known = [replace(camera(ORDERED), last_result=packet(label="owl").result)]
        opened.hub.taken = [packet(label="bat"), packet("other", label="cow")]
        assert streaming.known_labels(opened, opened.hub.known[0]) == ["bat", "fox", "owl"]


@pytest.mark.parametrize(
    ("reported", "standing", "words"),
    [
        ({"revision": 7}, Standing.WAITING, "Waiting"),
        ({"revision": 8}, Standing.IN_FORCE, "since revision 8"),
        ({"revision": 8, "state": "failed", "reason": "too_slow"}, Standing.IN_FORCE, "streams in this way"),
        ({"revision": 8, "state": "failed", "reason": "wrong_signature", "message": "Not our key."},
         Standing.REFUSED, "Not our key."),
    ],
)  # fmt: skip
def test_how_an_order_stands(reported, standing, words):
    fields = {"session": "s", "state": "active", "at": 1.0} | reported
    known = replace(device(), reported=wire.Reported.model_validate(fields))
    found, sentence = streaming.standing(known, 8)
    assert found is standing
    assert words in sentence


def test_a_device_that_is_away_takes_the_order_later():
    assert "offline" in streaming.standing(device(online=False), 8)[1]


class TestCard:
    def card(self, opened, **report):
        known = device()
        fields = {"fps": 5.0, "step": 0, "max_fps": 10.0, "quality": 60, "width": 320} | report
        telemetry = known.telemetry.model_copy(update={"stream": StreamReport.model_validate(fields)})
        opened.hub.known = [replace(known, telemetry=telemetry)]
        return fleet_page()

    def test_it_says_how_the_device_streams(self, opened):
        said = texts(self.card(opened, delay_ms=12.3).text)
        assert "5.0 frames/s of 320 pixels at quality 60 · 12.3 ms to leave the device" in said

    def test_what_a_device_has_told_stands_on_its_card_and_in_its_history(self, opened):
        known, now = device(), time.time()
        events = (
            Event(session="s1", at=now - 700, kind=EventKind.ERROR, message="The camera is away."),
            Event(session="s1", at=now - 65, kind=EventKind.ERROR, message="Another client uses the name."),
            Event(session="s1", at=now, kind=EventKind.SWAP_FINISHED, message="m classifies now."),
        )
        opened.hub.known = [replace(known, events=events)]
        test = fleet_page()
        assert re.search(r"1 min \d\d s ago: Another client uses the name\.", texts(test.text))
        assert "The camera is away." not in texts(test.text), "that is long ago"
        test.session_state["history-cam1"] = True
        told = test.run().dataframe[-1].value
        assert list(told["what"]) == [event.message for event in reversed(events)]
        opened.hub.known = [replace(known, events=events[:1])]
        assert "ago:" not in texts(fleet_page().text)
        nothing = known.telemetry.model_copy(update={"fps": 0.0})
        opened.hub.known = [replace(known, events=events[:1], telemetry=nothing)]
        assert "ago: The camera is away." in texts(fleet_page().text)

    def test_a_wrong_clock_is_said_and_the_studio_s_time_counts(self, opened):
        behind_s = 5 * 365 * 86_400
        told = Event(session="s1", at=time.time() - behind_s, kind=EventKind.ERROR, message="No frames.")
        opened.hub.known = [replace(device(), clock_ahead_s=-behind_s, events=(told,))]
        said = texts(fleet_page().text)
        assert "Its clock is 1825 days behind" in said
        assert re.search(r"\d+ s ago: No frames\.", said)
        opened.hub.known = [replace(device(), clock_ahead_s=1.0)]
        assert "clock" not in texts(fleet_page().text)

    def test_a_slow_network_and_late_results_are_said(self, opened):
        test = self.card(opened, step=2, kept=7, lost=1)
        assert "slow network, step 2" in texts(test.markdown)
        assert "7 late results on the way · 1 result lost" in texts(test.text)

    def test_that_nobody_watches_is_said(self, opened):
        assert "nobody watches" in texts(self.card(opened, fps=0.0).text)


class TestPictures:
    def test_one_is_taken_and_the_kept_ones_are_fetched(self, opened):
        opened.hub.known = [device()]
        test = open_panel(fleet_page(), "pictures")
        assert "No picture has come" in texts(test.info)
        assert "Frame 5 was taken" in texts(press(test, "Take a picture").caption)
        assert "2 pictures on the way" in texts(press(test, "Fetch the kept ones").caption)
        assert opened.hub.commands == [("cam1", "snapshot")] * 2

    def test_a_failure_is_said(self, opened):
        opened.hub.known = [device()]
        opened.hub.refusal = "There is no model on this device yet."
        test = press(open_panel(fleet_page(), "pictures"), "Take a picture")
        assert "cam1 sends no picture: There is no model" in texts(test.code)

    def test_the_newest_are_shown_whatever_bytes_they_are(self, opened):
        opened.hub.known = [device()]
        opened.hub.taken = [packet(number=number, label="<b>7") for number in range(8)]
        test = open_panel(fleet_page(), "pictures")
        assert not test.exception
        shown = test.get("html")
        assert len(shown) == 6
        assert "98 %" in texts(test.text)
        assert "<b>7" not in "".join(element.proto.body for element in shown)

    def test_the_browser_gets_and_downloads_them(self, opened):
        opened.hub.taken = [packet(number=3)]
        found = streaming.pictures(opened, "cam1")[0]
        answer = client().get(f"/api/snapshots/cam1/{found.id}.jpg")
        assert answer.content == opened.hub.taken[0].jpeg
        assert answer.headers["content-type"] == "image/jpeg"
        assert "content-disposition" not in answer.headers
        answer = client().get(f"/api/snapshots/cam1/{found.id}.jpg", params={"download": "1"})
        assert f'filename="cam1-{found.name[5:]}"' in answer.headers["content-disposition"]

    @pytest.mark.parametrize("address", ["cam1/0123456789abcdef", "other/x"])
    def test_what_is_not_there_is_not_found(self, opened, address):
        opened.hub.taken = [packet()]
        answer = client().get(f"/api/snapshots/{address}.jpg")
        assert answer.status_code == 404
        assert "no longer here" in answer.text

    def test_they_are_behind_the_token(self, opened):
        opened.hub.taken = [packet()]
        found = streaming.pictures(opened, "cam1")[0]
        assert client("secret").get(f"/api/snapshots/cam1/{found.id}.jpg").status_code == 401
