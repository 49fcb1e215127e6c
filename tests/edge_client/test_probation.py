"""What a new model is blamed for, and what is the fault of the machine around it."""

import threading
from types import SimpleNamespace

import pytest

from slimcast_edge.deploy.port import DeployOptions, Health
from slimcast_edge.deploy.probation import judge_health, watch
from slimcast_edge.errors import Refusal

OPTIONS = DeployOptions(probation_s=5.0, probation_frames=30, probation_errors=3)
GOOD = {
    "seconds": 5.0,
    "captured": 150,
    "classified": 150,
    "errors": 0,
    "last_error": "",
    "latency_ms": 2.0,
    "fps": 30.0,
    "before_latency_ms": 2.0,
    "before_fps": 30.0,
}


def health(**changes):
    return Health(**GOOD | changes)


def reason(**changes):
    verdict = judge_health(health(**changes), OPTIONS)
    return verdict and verdict.reason


def test_a_good_model_passes():
    assert reason() is None


def test_failures_are_judged_at_once():
    assert reason(seconds=0.1, errors=3, last_error="NaN") == Refusal.PROBATION_ERRORS


def test_a_model_that_answers_hardly_any_frame_is_refused():
    assert reason(captured=150, classified=14, fps=2.8) == Refusal.PROBATION_ERRORS


def test_a_model_that_cannot_keep_up_is_refused():
    assert reason(latency_ms=95.0, fps=10.0, classified=50) == Refusal.TOO_SLOW


@pytest.mark.parametrize(
    "changes",
    [
        {"latency_ms": 5.5, "fps": 2.4, "before_latency_ms": 0.3, "before_fps": 5.1},
        {"latency_ms": 10.0, "fps": 14.0},
    ],
    ids=["a machine that stands still now and then", "a camera that has become slow in the dark"],
)
def test_a_model_that_idles_is_not_blamed_for_a_low_frame_rate(changes):
    assert reason(**changes | {"captured": 40, "classified": 40}) is None


def test_slow_at_a_low_frame_rate_is_slow_enough():
    assert reason(latency_ms=150.0, before_latency_ms=10.0, fps=5.0, before_fps=5.0, classified=25) is None


def watched(*seen):
    """Let the watch look at these, one after the other; return how many it has looked at before it ended."""
    left = list(seen)
    host = SimpleNamespace(health=lambda: left.pop(0))
    assert watch(host, OPTIONS, stopped=threading.Event()) is None
    return len(seen) - len(left)


def test_the_watch_waits_for_enough_frames():
    enough = health(seconds=7.0, captured=40, classified=30)
    assert watched(health(seconds=6.0, captured=40, classified=29), enough, enough) == 2


def test_a_slow_camera_gets_more_time_but_not_for_ever():
    few = {"captured": 4, "classified": 4}
    assert watched(health(seconds=6.0, **few), health(seconds=19.0, **few), health(seconds=20.0, **few)) == 3


def test_dropped_frames_do_not_hold_the_model_up_for_ever():
    assert watched(health(seconds=20.0, captured=40, classified=25)) == 1


def test_a_model_that_has_answered_nothing_has_not_proved_itself():
    silent = {"captured": 5, "classified": 0}
    assert watched(health(seconds=20.0, **silent), health(seconds=21.0, captured=6, classified=1)) == 2


def test_a_camera_that_gives_nothing_does_not_hold_the_model_up_for_ever():
    assert watched(health(seconds=20.0, captured=0, classified=0)) == 1
