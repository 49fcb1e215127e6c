"""How much to send over a link that may be slow: rate, quality and width step down, and up again."""

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from slimcast_edge.wire import StreamSettings

SLOW_S = 0.2
"""A frame that takes longer to leave the device is slow."""

QUICK_S = 0.08
"""Half of the frames must leave within this time before more is tried; a busy device has some that do not."""

VERY_SLOW_S = 1.0
SLOW_IN_A_ROW = 3
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 80.0
"""Seconds without a slow frame before the next step up; doubled each time that a step up was too much."""

_RECENT, _ENOUGH = 15, 5

_LEAST_FPS, _LEAST_QUALITY, _LEAST_WIDTH = 1.0, 25, 160


@dataclass(frozen=True, slots=True)
class Step:
    """Shares of what was ordered."""

    rate: float
    quality: float
    width: float


# Each about halves the bytes a second. Quality first, which shows least; then, by turns, rate and size.
STEPS = (
    Step(1.0, 1.0, 1.0),
    Step(1.0, 0.7, 1.0),
    Step(0.5, 0.7, 1.0),
    Step(0.5, 0.7, 0.7),
    Step(0.25, 0.6, 0.7),
    Step(0.25, 0.5, 0.5),
    Step(0.125, 0.5, 0.4),
)


class Pace:
    """Steps down when frames take long to leave, and up when most have left quickly for a while.

    `clock` returns seconds that only grow. Not thread-safe.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.step = 0
        self._slow = 0
        self._calm_since = clock()
        self._recent_s: deque[float] = deque(maxlen=_RECENT)
        self._wait_s = FIRST_WAIT_S
        self._raised_at = float("-inf")

    def note(self, delay_s: float) -> None:
        """Take note of how long a frame took to leave, s."""
        now = self._clock()
        self._recent_s.append(delay_s)
        if delay_s > SLOW_S:
            self._calm_since = now
            self._slow += 1
            if delay_s > VERY_SLOW_S:
                self._lower(now, 2)
            elif self._slow >= SLOW_IN_A_ROW:
                self._lower(now, 1)
            return
        self._slow = 0
        if self.step > 0 and now - self._calm_since >= self._wait_s and self._is_quick():
            self._go_to(self.step - 1)
            self._raised_at = self._calm_since = now

    def apply(self, stream: StreamSettings, frame_width: int) -> StreamSettings:
        """Return what holds just now for frames of this width, pixels."""
        step = STEPS[self.step]
        if self.step == 0 or not stream.adapt:
            return stream
        width = min(stream.width, frame_width)
        return stream.model_copy(
            update={
                "max_fps": max(min(_LEAST_FPS, stream.max_fps), stream.max_fps * step.rate),
                "quality": max(min(_LEAST_QUALITY, stream.quality), round(stream.quality * step.quality)),
                "width": max(min(_LEAST_WIDTH, width), round(width * step.width)),
            }
        )

    def _is_quick(self) -> bool:
        return len(self._recent_s) >= _ENOUGH and statistics.median(self._recent_s) <= QUICK_S

    def _go_to(self, step: int) -> None:
        self.step = step
        self._recent_s.clear()

    def _lower(self, now: float, steps: int) -> None:
        self._slow = 0
        if self.step == len(STEPS) - 1:
            return
        # Where the last step up was too much, the next try waits longer; else the link has changed.
        failed = now - self._raised_at < 2 * self._wait_s
        self._wait_s = min(LONGEST_WAIT_S, self._wait_s * 2) if failed else FIRST_WAIT_S
        self._go_to(min(len(STEPS) - 1, self.step + steps))
