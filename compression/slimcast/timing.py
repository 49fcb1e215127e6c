"""What a run spends its time on: batches, and everything else; and how a time is written."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

BATCHES = "training and evaluation batches"
FRESH_PROCESS = "latency, in a process of its own"
LOADING = "loading data"
EXPORT = "export and saving"
_REST = "everything else"


def local_time(at: float) -> str:
    """Return a Unix time, s, as people write it, in the zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def is_due(last: float, every_s: float, now: float) -> bool:
    """Return whether `every_s` seconds have passed since `last`, both Unix times, s.

    A clock that has been set back since then says so, too: whoever waited for it to catch up would do nothing
    for as long as it was wrong.
    """
    return not 0 <= now - last < every_s


class Stopwatch:
    """Adds up, by part, the seconds since it was started. Nested parts count for the innermost one only."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._started = time.perf_counter()
        self._inner = 0.0

    @property
    def total_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    def share(self, part: str) -> float:
        """Return what share of the time a part took, 0..1."""
        return min(1.0, self._seconds.get(part, 0.0) / max(self.total_s, 1e-9))

    def rows(self) -> list[tuple[str, float, float]]:
        """Return (part, seconds, share of the whole) of all parts, the longest first, and of the rest."""
        total = self.total_s
        parts = sorted(self._seconds.items(), key=lambda item: -item[1])
        parts.append((_REST, max(0.0, total - sum(self._seconds.values()))))
        return [(part, round(seconds, 3), round(seconds / total, 4)) for part, seconds in parts]

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the block as that part."""
        outer, self._inner = self._inner, 0.0
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self._seconds[part] = self._seconds.get(part, 0.0) + took - self._inner
            self._inner = outer + took


_current: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


@contextmanager
def running_stopwatch() -> Iterator[Stopwatch]:
    """Start a stopwatch that all `part_time` blocks of this thread add to."""
    watch = Stopwatch()
    token = _current.set(watch)
    try:
        yield watch
    finally:
        _current.reset(token)


@contextmanager
def part_time(part: str) -> Iterator[None]:
    """Count the block as a part of the run; costs nothing worth mentioning where no stopwatch runs."""
    watch = _current.get()
    if watch is None:
        yield
        return
    with watch.timed(part):
        yield


def batch_time() -> AbstractContextManager[None]:
    """Count the block as a training or evaluation batch."""
    return part_time(BATCHES)
