"""How much of a run is spent on batches, and how much on everything else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopwatch:
    """Adds up the time of batches since it was started.

    Attributes:
        batches_s: seconds spent in training and evaluation batches.
    """

    def __init__(self) -> None:
        self.batches_s = 0.0
        self._started = time.perf_counter()

    @property
    def total_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    @property
    def share(self) -> float:
        """What part of the time was batches, 0..1."""
        return min(1.0, self.batches_s / max(self.total_s, 1e-9))


_current: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


@contextmanager
def running_stopwatch() -> Iterator[Stopwatch]:
    """Start a stopwatch that all `batch_time` blocks of this thread add to."""
    watch = Stopwatch()
    token = _current.set(watch)
    try:
        yield watch
    finally:
        _current.reset(token)


@contextmanager
def batch_time() -> Iterator[None]:
    """Count the block as a training or evaluation batch; costs nothing worth mentioning without a watch.

    Such blocks do not lie within one another.
    """
    watch = _current.get()
    started = time.perf_counter()
    try:
        yield
    finally:
        if watch is not None:
            watch.batches_s += time.perf_counter() - started
