"""Comparing two models on a device, as the studio sees it: orders, how it stands, and what is counted."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast.errors import FleetError
from slimcast.fleet import comparing
from slimcast.fleet.comparing import Comparing, Tally
from slimcast.fleet.records import Device
from slimcast.fleet.replies import Replies
from slimcast_edge.signing import open_signed_command
from slimcast_edge.wire import Compare, Compared, Prediction, Reply, Result, SecondAnswer, Status
from support_wait import wait_for

KEY = Ed25519PrivateKey.generate()
A, B, C = "a" * 64, "b" * 64, "c" * 64


def compared(state, **more):
    return lambda order: Reply(id=order.id, ok=True, result=Compared(state=state, **more).model_dump())


def refused(error):
    return lambda order: Reply(id=order.id, ok=False, error=error)


class Studio:
    """A `Comparing` whose device answers what the test gives it."""

    def __init__(self):
        self.orders, self.replies = [], Replies()
        self.answer = compared("fetching", progress=0.5)
        self.session, self.online, self.refusal = "s1", True, ""
        self.comparing = Comparing(
            site="lab",
            key=KEY,
            send=self.send,
            replies=self.replies,
            look=self.look,
            size_of=lambda _sha256: 6,
        )

    def look(self, name):
        if self.refusal:
            raise FleetError(self.refusal)
        return Device(name=name, status=Status(online=self.online, session=self.session, since=1.0))

    def send(self, topic, payload):
        order = open_signed_command(Compare, payload, KEY.public_key())
        self.orders.append((topic, order))
        if self.answer is not None:
            self.replies.arrived(order.device, order.id, self.answer(order))

    def wait_state(self, state, device="cam1"):
        return wait_for(
            lambda: (now := self.comparing.of(device)) and now.state == state and now, f"it to be {state}"
        )


@pytest.fixture
def studio(monkeypatch):
    monkeypatch.setattr(comparing, "RENEW_S", 0.05)
    monkeypatch.setattr(comparing, "LOOK_S", 0.02)
    monkeypatch.setattr(comparing, "_REPLY_S", 0.02)
    studio = Studio()
    studio.comparing.start()
    yield studio
    studio.comparing.stop()


def result(first="7", second="7", *, expected="7", artifact=A, other=B, late=False):
    return Result(
        session="s1",
        frame=1,
        captured_at=1.0,
        classified_at=1.0,
        latency_ms=2.0,
        artifact=artifact,
        predictions=[Prediction(label=first, index=0, score=0.9)],
        expected=expected,
        late=late,
        second=SecondAnswer(
            artifact=other, latency_ms=4.0, predictions=[Prediction(label=second, index=0, score=0.8)]
        ),
    )


def test_it_is_ordered_signed_prolonged_with_new_ids_and_ended(studio):
    studio.comparing.join("cam1", B, "lenet float", "tab")
    assert studio.comparing.offered(B).size_bytes == 6
    assert studio.wait_state("fetching").progress == 0.5
    studio.answer = compared("running", progress=1.0, latency_ms=3.0)
    studio.wait_state("running")
    wait_for(lambda: len(studio.orders) >= 4, "it to be prolonged")
    studio.comparing.leave("cam1", "tab")
    wait_for(lambda: studio.orders[-1][1].lease_s == 0, "its end")
    orders = [order for _, order in studio.orders]
    assert {topic for topic, _ in studio.orders} == {"slimcast/v1/lab/cam1/cmd/compare"}
    assert len({order.id for order in orders}) == len(orders)
    assert len({order.comparison for order in orders}) == 1
    assert {(order.site, order.device, order.session) for order in orders} == {("lab", "cam1", "s1")}
    assert orders[0].model.name == "lenet float"
    assert orders[0].lease_s == comparing.LEASE_S
    assert studio.comparing.of("cam1") is None
    assert studio.comparing.offered(B) is None


def test_two_tabs_share_one_and_the_last_ends_it(studio):
    studio.comparing.join("cam1", B, "b", "tab1")
    studio.comparing.join("cam1", B, "b", "tab2")
    with pytest.raises(FleetError, match=r"compares b for another page"):
        studio.comparing.join("cam1", C, "c", "tab3")
    studio.comparing.leave("cam1", "tab1")
    assert studio.comparing.of("cam1") is not None
    studio.comparing.leave("cam1", "tab2")
    assert studio.comparing.of("cam1") is None
    studio.comparing.join("cam1", C, "c", "tab3")
    assert studio.comparing.of("cam1").artifact == C


def test_what_the_device_refuses_is_said_once_and_asked_again_only_on_request(studio):
    studio.answer = refused("Sample 0 differs.")
    studio.comparing.join("cam1", B, "b", "tab")
    assert studio.wait_state("ended").message == "Sample 0 differs."
    asked = len(studio.orders)
    studio.answer = compared("running")
    studio.comparing.leave("cam1", "tab")
    studio.comparing.join("cam1", B, "b", "tab")
    studio.wait_state("running")
    assert len({order.comparison for _, order in studio.orders}) == 2
    assert asked == 1


def test_a_device_that_starts_anew_is_asked_in_its_new_session(studio):
    studio.answer = compared("running")
    studio.comparing.join("cam1", B, "b", "tab")
    studio.wait_state("running")
    studio.session = "s2"
    wait_for(lambda: studio.orders[-1][1].session == "s2", "the order for the new session")


@pytest.mark.parametrize("change", [{"online": False}, {"answer": None}], ids=["offline", "older client"])
def test_silence_is_said_and_it_goes_on_trying(studio, change):
    vars(studio).update(change)
    studio.comparing.join("cam1", B, "b", "tab")
    wait_for(lambda: "cam1 does not answer" in studio.comparing.of("cam1").message, "the silence to be said")
    studio.online, studio.answer = True, compared("running")
    assert studio.wait_state("running").message == ""


def test_an_answer_that_makes_no_sense_ends_it(studio):
    studio.answer = lambda order: Reply(id=order.id, ok=True, result={"state": "dancing"})
    studio.comparing.join("cam1", B, "b", "tab")
    assert "makes no sense" in studio.wait_state("ended").message


def test_a_device_with_another_studios_key_is_not_asked(studio):
    studio.refusal = "cam1 has pinned the key of another studio."
    with pytest.raises(FleetError, match="another studio"):
        studio.comparing.join("cam1", B, "b", "tab")
    assert studio.orders == []


def test_frames_of_this_comparison_are_counted_from_one_model_to_the_next(studio):
    studio.answer = compared("running")
    studio.comparing.heard("cam1", result())
    studio.comparing.join("cam1", B, "b", "tab")
    for one in (
        result("7", "7"),
        result("7", "1"),
        result("3", "1", expected=None),
        result(other=C),
        result(late=True),
    ):
        studio.comparing.heard("cam1", one)
    studio.comparing.heard("cam2", result())
    expected = Tally(frames=3, agreed=1, known=2, first_right=2, second_right=1, first_ms=2.0, second_ms=4.0)
    assert studio.comparing.of("cam1").tally == expected
    studio.comparing.heard("cam1", result(artifact=C))
    assert studio.comparing.of("cam1").tally.frames == 1
    assert studio.comparing.of("cam1").first == C


def test_stopping_the_studio_ends_what_is_compared(studio):
    studio.answer = compared("running")
    studio.comparing.join("cam1", B, "b", "tab")
    studio.wait_state("running")
    studio.comparing.stop()
    assert studio.orders[-1][1].lease_s == 0
