"""Viewers and their lease: one for each camera, whatever the number of viewers."""

from dataclasses import replace

import pytest

from slimcast.fleet.records import FramePacket
from slimcast.fleet.viewers import Viewers
from slimcast_edge.wire import Result
from support_wait import wait_for

RESULT = Result(
    session="s", frame=1, captured_at=1, classified_at=1, latency_ms=1, artifact="a", predictions=[]
)
FRAME = FramePacket(device="cam1", jpeg=b"", result=RESULT, received_at=1.0)


@pytest.fixture
def leases():
    return []


@pytest.fixture
def viewers(leases):
    return Viewers(lambda *lease: leases.append(lease), lease_s=6.0)


def test_lease_lasts_until_the_last_viewer_leaves(viewers, leases):
    first = viewers.add_frames("cam1", "a", lambda _: None)
    second = viewers.add_frames("cam1", "b", lambda _: None)
    first()
    assert [lease_s for _, lease_s, *_ in leases] == [6.0, 6.0, 6.0]
    second()
    assert leases[-1] == ("cam1", 0.0, False, "")
    assert viewers.watched() == []


def test_leaving_twice_does_not_end_another_viewer_s_lease(viewers, leases):
    stop = viewers.add_frames("cam1", "a", lambda _: None)
    stop()
    viewers.add_frames("cam1", "a", lambda _: None)
    count = len(leases)
    stop()
    assert len(leases) == count
    assert viewers.watched() == ["cam1"]


def test_frames_are_asked_for_only_when_somebody_wants_them(viewers, leases):
    viewers.add_results("cam1", "figures", lambda _: None)
    assert leases[-1] == ("cam1", 6.0, False, "")
    stop = viewers.add_frames("cam1", "wall", lambda _: None)
    assert leases[-1] == ("cam1", 6.0, True, "")
    stop()
    assert leases[-1] == ("cam1", 6.0, False, "")


def test_everybody_gets_what_they_watch_for(viewers):
    frames, results = [], []
    viewers.add_frames("cam1", "a", frames.append)
    viewers.add_results("cam1", "b", results.append)
    viewers.deliver("cam1", FRAME)
    viewers.deliver("cam1", RESULT)
    viewers.deliver("cam2", RESULT)
    assert (frames, results) == ([FRAME], [RESULT])


def test_each_of_several_cameras_has_a_lease_and_viewers_of_its_own(viewers, leases):
    left, everything = [], []
    stop = viewers.add_frames("cam1", "a", left.append, "left")
    viewers.add_frames("cam1", "b", everything.append)
    assert leases == [("cam1", 6.0, True, "left"), ("cam1", 6.0, True, "")]
    packets = [replace(FRAME, result=RESULT.model_copy(update={"camera": c})) for c in ("left", "right")]
    for packet in packets:
        viewers.deliver("cam1", packet)
    assert left == packets[:1]
    assert everything == packets
    stop()
    assert leases[-1] == ("cam1", 0.0, False, "left")
    leases.clear()
    viewers.renew("cam1")
    assert leases == [("cam1", 6.0, True, "")]


def test_viewer_that_fails_does_not_keep_frames_from_the_others(viewers, caplog):
    frames = []
    viewers.add_frames("cam1", "broken", lambda _: 1 / 0)
    viewers.add_frames("cam1", "sound", frames.append)
    assert viewers.deliver("cam1", FRAME) == 1
    assert frames == [FRAME]
    assert "'broken'" in caplog.text


def test_lease_is_renewed_by_itself_and_given_back_at_the_end(leases):
    viewers = Viewers(lambda *lease: leases.append(lease), lease_s=0.06)
    viewers.start()
    viewers.add_frames("cam1", "a", lambda _: None)
    wait_for(lambda: len(leases) >= 4, "three renewals")
    viewers.stop()
    assert leases[-1] == ("cam1", 0.0, False, "")
