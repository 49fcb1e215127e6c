"""Whether a loop still goes round."""

import time


class Pulse:
    """Beaten by the thread of a loop, read by any other."""

    def __init__(self) -> None:
        self._beat_at: float | None = time.monotonic()

    def beat(self) -> None:
        """Say that the loop goes on."""
        self._beat_at = time.monotonic()

    def rest(self) -> None:
        """Say that the loop waits for something that may never come, which is no fault of its own."""
        self._beat_at = None

    @property
    def silent_s(self) -> float:
        """Seconds since the last beat; 0 while the loop rests."""
        beat_at = self._beat_at
        return 0.0 if beat_at is None else time.monotonic() - beat_at
