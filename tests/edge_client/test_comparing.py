"""A second model beside the device's own: what it takes to begin, what it may cost, and how it ends."""

import itertools
import re
import time

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast_edge.camera import Frame
from slimcast_edge.client.comparing import Comparing, ComparingPlace, Turns
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.outbox import to_result
from slimcast_edge.deploy.port import DeployOptions
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.deploy.trial_process import TrialProcess
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure, WireError
from slimcast_edge.measuring.judge import Judge
from slimcast_edge.runtime import RuntimeChoice
from slimcast_edge.signing import sign
from slimcast_edge.wire import Compare, Compared
from support_artifacts import make_artifact, sample_images
from support_chunks import ChunkHost, ref, sha
from support_wait import wait_for

KEY = Ed25519PrivateKey.generate()
OWN = make_artifact(name="own")
SECOND = make_artifact(name="second", bias=1.0, ballast_bytes=5000)
THIRD = make_artifact(name="third", bias=2.0)
_ids = itertools.count()


class Passed:
    """A trial that everything passes, or nothing."""

    latency_ms = 1.5
    problem: ArtifactError | None = None

    def __call__(self, _path):
        if self.problem is not None:
            raise self.problem
        return self

    def stop(self):
        pass


@pytest.fixture
def host():
    return ChunkHost(SECOND, THIRD)


@pytest.fixture
def engine(tmp_path):
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / f"{sha(OWN)}.onnx"
    path.write_bytes(OWN)
    engine = Engine(RuntimeChoice())
    engine.swap(engine.open(path, ModelEntry(sha256=sha(OWN), name="own")))
    return engine


@pytest.fixture
def make(host, engine, tmp_path):
    """Make the desk of cam1 in its session s1; `tmp_path/own` is where its own models lie."""
    made = []

    def make(trial=Passed):
        place = ComparingPlace(
            folder=tmp_path / "comparing",
            models=lambda sha256: tmp_path / "own" / f"{sha256}.onnx",
            trial=trial,
            options=DeployOptions(stall_s=0.3, reask_s=0.1),
        )
        judge = Judge(
            site="lab", device="cam1", session="s1", keys=lambda: [KEY.public_key()], max_bytes=1_000_000
        )
        made.append(Comparing(place, host, judge, engine))
        host.chunk = made[-1].chunk
        return made[-1]

    yield make
    for desk in made:
        desk.stop()


def order(content, *, key=KEY, **changes):
    fields = {"id": f"c{next(_ids)}", "site": "lab", "device": "cam1", "session": "s1"}
    fields |= {"comparison": "one", "lease_s": 30.0} | changes
    return sign(Compare(model=ref(content, "the second"), **fields), key).encode()


def frame(number=1):
    return Frame(number=number, pixels=sample_images()[number], captured_at=time.time())


def ask(desk, number=1, *, others_wait=False):
    return desk.answer(frame(number), lambda: others_wait)


def begin(desk, host, content=SECOND, **changes):
    """Order it, and again until the device says that it answers."""

    def runs():
        desk.order(order(content, **changes))
        reply = host.replies[-1]
        assert reply.ok, reply.error
        return Compared.model_validate(reply.result).state == "running"

    wait_for(runs, "the second model to answer")


def refusal(desk, host, content=SECOND, **changes):
    desk.order(order(content, **changes))
    reply = host.replies[-1]
    return "" if reply.ok else reply.error


def test_a_second_model_is_fetched_and_answers_the_very_same_frame(make, host, engine, tmp_path):
    desk = make()
    begin(desk, host)
    assert host.replies[0].result["state"] == "fetching"
    assert host.replies[-1].result["latency_ms"] == 1.5
    first, second = engine.classify(frame()), ask(desk)
    assert (first.label, second.label) == ("bright", "bright")
    assert second.latency_ms > 0
    result = to_result(Classified(frame(), first, second), "s1")
    assert (result.artifact, result.second.artifact) == (sha(OWN), sha(SECOND))
    assert result.second.predictions[0].label == "bright"
    assert engine.current.entry.sha256 == sha(OWN)
    assert sorted(host.asked) == list(range(ref(SECOND).chunks))


def test_without_one_nothing_is_asked(make, engine):
    assert ask(make()) is None
    assert to_result(Classified(frame(), engine.classify(frame())), "s1").second is None


@pytest.mark.slow
def test_it_is_tried_in_a_process_of_its_own_as_a_model_that_is_published(make, host):
    desk = make(lambda: TrialProcess(RuntimeChoice(), max_latency_ms=None))
    begin(desk, host)
    assert host.replies[-1].result["latency_ms"] > 0
    desk.interrupt()
    junk = b"this is no model" * 100
    host.files[sha(junk)] = junk
    wait_for(lambda: "ONNX" in refusal(desk, host, junk, comparison="two"), "the refusal")


def test_what_fails_its_trial_never_answers(make, host):
    trial = Passed()
    trial.problem = ArtifactError(Refusal.GOLDEN_SAMPLES_DIFFER, "Sample 0 differs.")
    desk = make(lambda: trial)
    wait_for(lambda: "Sample 0 differs." in refusal(desk, host), "the refusal")
    assert ask(desk) is None


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (order(SECOND, key=Ed25519PrivateKey.generate()), "not signed with a pinned key"),
        (order(SECOND).replace(b'"lease_s":30.0', b'"lease_s":31.0'), "not signed with a pinned key"),
        (order(SECOND, device="cam2"), "another device"),
        (order(SECOND, session="s0"), "earlier start"),
        (order(make_artifact(ballast_bytes=2_000_000)), r"more than the 1\.0 MB"),
        (order(OWN), "the model that the device runs"),
    ],
    ids=["another key", "changed on its way", "another device", "another session", "too large", "its own"],
)
def test_orders_that_are_not_obeyed_are_answered_and_nothing_is_fetched(make, host, payload, said):
    make().order(payload)
    assert re.search(said, host.replies[-1].error)
    assert host.asked == []


def test_junk_is_malformed(make):
    for junk in (b"", b"{", b'{"id": "x"}', b"\xff" * 40, b"x" * 5000):
        with pytest.raises(WireError):
            make().order(junk)


def test_it_ends_with_its_lease_and_leaves_nothing(make, host, tmp_path):
    desk = make()
    begin(desk, host)
    assert (tmp_path / "comparing").exists()
    assert "no such comparison" in refusal(desk, host, THIRD, comparison="two", lease_s=0)
    desk.order(order(SECOND, lease_s=0))
    wait_for(lambda: ask(desk) is None, "it to answer no more")
    wait_for(lambda: not (tmp_path / "comparing").exists(), "its file to be gone")
    begin(desk, host, THIRD, comparison="two")
    assert ask(desk).loaded.entry.sha256 == sha(THIRD)


def test_one_at_a_time(make, host):
    desk = make()
    begin(desk, host)
    assert "compares 'the second' already" in refusal(desk, host, THIRD, comparison="two")
    assert ask(desk).loaded.entry.sha256 == sha(SECOND)


def test_a_new_model_ends_it_until_it_is_chosen_again(make, host):
    desk = make()
    begin(desk, host)
    desk.interrupt()
    assert ask(desk) is None
    assert "A new model took over" in refusal(desk, host)
    begin(desk, host, comparison="two")


def test_one_that_fails_on_a_frame_ends_and_says_why(make, host, monkeypatch):
    desk = make()
    begin(desk, host)

    def fail(_images):
        raise RuntimeFailure("It broke.")

    monkeypatch.setattr(desk._now.loaded.runtime, "run", fail)
    assert ask(desk) is None
    assert "It broke." in refusal(desk, host)


def test_wrong_bytes_never_answer(make, host):
    host.spoil = True
    desk = make()
    wait_for(lambda: "sha256" in refusal(desk, host), "the refusal")


def test_one_that_makes_frames_wait_rests(make, host, engine, monkeypatch):
    desk = make()
    begin(desk, host)
    assert ask(desk, others_wait=False) is not None
    assert ask(desk, others_wait=False) is not None
    slow = desk._now.loaded.runtime.run
    monkeypatch.setattr(
        desk._now.loaded.runtime, "run", lambda images: time.sleep(0.3) or np.asarray(slow(images))
    )
    assert ask(desk, others_wait=True) is not None
    assert ask(desk) is None


def test_they_take_turns_in_going_first_as_long_as_nobody_waits(make, host):
    assert not make().goes_first()
    desk = make()
    begin(desk, host)
    firsts = []
    for _ in range(4):
        firsts.append(desk.goes_first())
        ask(desk)
    assert sorted(firsts) == [False, False, True, True]


def test_two_cameras_that_take_turns_are_no_reason_to_always_go_first():
    turns = Turns()
    firsts = [turns.goes_first(0.0) for _ in range(64)]
    assert sum(firsts) == 32
    assert sum(firsts[::2]) == sum(firsts[1::2]) == 16


def answers_in_a_second(took, every):
    """How many frames it answers in a second of one each `every` s, each of which makes another wait."""
    turns, answered, firsts = Turns(), 0, 0
    for number in range(int(10 / every)):
        now = number * every
        firsts += turns.goes_first(now)
        if turns.may(now):
            answered += 1
            turns.took(took, others_wait=True, now=now + took)
    return answered / 10, firsts


def test_a_slow_one_takes_a_quarter_of_the_time_and_does_not_go_first():
    answered, firsts = answers_in_a_second(took=0.05, every=0.01)
    assert 4 <= answered <= 6
    assert firsts < 50


def test_a_quick_one_answers_all_though_frames_of_several_cameras_wait():
    answered, firsts = answers_in_a_second(took=0.0005, every=0.01)
    assert answered == 100
    assert firsts == 500


def test_what_makes_nobody_wait_costs_nothing():
    turns = Turns()
    turns.took(60.0, others_wait=False, now=100.0)
    assert turns.may(100.0)
