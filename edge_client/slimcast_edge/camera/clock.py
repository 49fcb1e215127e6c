"""When a picture was taken, by the clocks of those who took it."""

import time

_OLDEST_S = 60.0


def unix_time(stamp_s: float | None, clock: int) -> float:
    """Return the Unix time of an exposure: a frame can be older than the call that fetched it.

    Args:
        stamp_s: of the driver, s; None, or one that cannot be true, means now.
        clock: that the driver goes by, such as ``time.CLOCK_BOOTTIME``.

    """
    now = time.time()
    if stamp_s is None:
        return now
    age_s = time.clock_gettime(clock) - stamp_s
    return now - age_s if 0 <= age_s < _OLDEST_S else now
