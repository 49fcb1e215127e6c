"""How often something happens."""

import time
from collections import deque

_COUNTED = 30


class Rate:
    """Times a second, over the last few; noted by one thread, read by any."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_COUNTED)

    def note(self) -> None:
        """It has happened once more."""
        self._times.append(time.monotonic())

    @property
    def per_second(self) -> float:
        """How often a second, 0 while it has happened less than twice."""
        times = list(self._times)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0
