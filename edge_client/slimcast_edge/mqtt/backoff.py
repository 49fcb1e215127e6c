"""How long to wait before the next try to connect."""

import random
import time

MIN_DELAY_S = 0.5
MAX_DELAY_S = 10.0
STABLE_AFTER_S = 10.0
"""A connection that lasted this long was a good one: the next delay starts small again."""


class Backoff:
    """Longer and longer, and never the same for two: there are many cameras and one broker."""

    def __init__(self) -> None:
        self._delay_s = MIN_DELAY_S
        self._began = time.monotonic()

    def begin(self) -> None:
        """Take note that a try begins."""
        self._began = time.monotonic()

    def ended(self) -> bool:
        """Take note that it has ended; return whether the connection was a good one."""
        good = time.monotonic() - self._began > STABLE_AFTER_S
        if good:
            self._delay_s = MIN_DELAY_S
        return good

    def next_s(self) -> float:
        """Return how long to wait now, s."""
        wait_s = random.uniform(MIN_DELAY_S, max(MIN_DELAY_S, self._delay_s))
        self._delay_s = min(MAX_DELAY_S, self._delay_s * 2)
        return wait_s
