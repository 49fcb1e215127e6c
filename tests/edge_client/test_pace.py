"""Adaptation to the link, with a clock of our own."""

import pytest

from slimcast_edge.client.pace import FIRST_WAIT_S, LONGEST_WAIT_S, STEPS, Pace
from slimcast_edge.wire import StreamSettings

ORDERED = StreamSettings(max_fps=20, quality=80, width=640)


class Link:
    """A pace, its clock, and frames that take a given time to leave."""

    def __init__(self):
        self.now = 0.0
        self.pace = Pace(lambda: self.now)

    def frames(self, delay_s, *, seconds=0.0, count=0):
        end = self.now + seconds
        while self.now < end or count > 0:
            self.now += max(0.05, delay_s)
            self.pace.note(delay_s)
            count -= 1
        return self.pace.step


@pytest.fixture
def link():
    return Link()


def test_a_quick_link_gets_what_was_ordered(link):
    assert link.frames(0.01, seconds=600) == 0
    assert link.pace.apply(ORDERED, 640) == ORDERED


def test_single_slow_frames_change_nothing(link):
    for _ in range(20):
        link.frames(0.5, count=2)
        link.frames(0.1, count=1)
    assert link.pace.step == 0


def test_three_slow_frames_lower_it_and_very_slow_ones_faster(link):
    assert link.frames(0.3, count=3) == 1
    assert link.frames(3.0, count=1) == 3
    assert link.frames(3.0, count=20) == len(STEPS) - 1


def test_every_step_sends_less_and_none_sends_nothing(link):
    bytes_a_second = []
    for step in range(len(STEPS)):
        link.pace.step = step
        now = link.pace.apply(ORDERED, 640)
        bytes_a_second.append(now.max_fps * now.quality * now.width**2)
        assert now.max_fps >= 1
        assert now.quality >= 25
        assert now.width >= 160
    assert bytes_a_second == sorted(bytes_a_second, reverse=True)
    assert len(set(bytes_a_second)) == len(STEPS)


def test_it_lowers_what_the_camera_has_not_what_was_ordered_in_vain(link):
    link.pace.step = 3
    assert link.pace.apply(StreamSettings(width=4096), 640).width == 448


def test_nothing_is_raised_by_adapting(link):
    link.pace.step = len(STEPS) - 1
    least = StreamSettings(max_fps=0.5, quality=10, width=100)
    assert link.pace.apply(least, 640) == least


def test_it_goes_back_up_after_a_quiet_while(link):
    link.frames(0.3, count=3)
    assert link.frames(0.01, seconds=FIRST_WAIT_S - 0.5) == 1
    assert link.frames(0.01, seconds=1.0) == 0


def test_neither_slow_nor_quick_stays(link):
    link.frames(0.3, count=3)
    assert link.frames(0.15, seconds=600) == 1


def test_a_busy_device_whose_frames_are_mostly_quick_goes_up(link):
    link.frames(0.3, count=3)
    for _ in range(30):
        link.frames(0.01, count=4)
        link.frames(0.15, count=1)
    assert link.pace.step == 0


def test_a_link_that_never_bears_more_is_tried_ever_more_seldom(link):
    tries = []
    link.frames(0.3, count=3)
    while len(tries) < 8:
        before = link.now
        while link.frames(0.01, count=1) == 1:
            pass
        tries.append(link.now - before)
        link.frames(0.3, count=3)
    assert tries == sorted(tries)
    assert tries[0] == pytest.approx(FIRST_WAIT_S, abs=0.2)
    assert tries[-1] == pytest.approx(LONGEST_WAIT_S, abs=0.2)


def test_who_wants_no_adapting_gets_none(link):
    link.pace.step = 4
    fixed = ORDERED.model_copy(update={"adapt": False})
    assert link.pace.apply(fixed, 640) == fixed
