import contextlib

import pytest

from slimcast import timing
from slimcast.timing import BATCHES, FRESH_PROCESS, batch_time, part_time, running_stopwatch


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when a test says so."""

    class Clock:
        now = 100.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_time_is_counted_by_part_and_the_rest_is_told_last(clock):
    with running_stopwatch() as watch:
        with batch_time():
            clock.now += 6
        with part_time(FRESH_PROCESS):
            clock.now += 1
        with batch_time():
            clock.now += 2
        clock.now += 1
        assert watch.share(BATCHES) == pytest.approx(0.8)
        assert watch.rows() == [(BATCHES, 8.0, 0.8), (FRESH_PROCESS, 1.0, 0.1), ("everything else", 1.0, 0.1)]


def test_a_part_within_another_counts_once(clock):
    with running_stopwatch() as watch:
        with part_time("saving"):
            clock.now += 1
            with batch_time():
                clock.now += 2
            with batch_time():
                clock.now += 3
            clock.now += 4
        assert watch.rows() == [(BATCHES, 5.0, 0.5), ("saving", 5.0, 0.5), ("everything else", 0.0, 0.0)]


def test_a_part_that_fails_is_counted_and_the_next_one_is_right(clock):
    with running_stopwatch() as watch:
        with contextlib.suppress(KeyError), part_time("saving"), batch_time():
            clock.now += 1
            raise KeyError
        with batch_time():
            clock.now += 1
        assert watch.share(BATCHES) == 1.0


def test_without_a_stopwatch_nothing_is_counted():
    with running_stopwatch() as watch:
        pass
    with batch_time():
        pass
    assert [row[0] for row in watch.rows()] == ["everything else"]
