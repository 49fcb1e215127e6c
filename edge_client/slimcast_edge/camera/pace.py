"""Holds a source that is too fast down to a frame rate."""

import threading
import time


class Pace:
    """Lets `wait` return `fps` times a second; 0 means at once."""

    def __init__(self, fps: float) -> None:
        self._interval_s = 1.0 / fps if fps else 0.0
        self._next = time.monotonic()
        self._stopped = threading.Event()

    def wait(self) -> bool:
        """Wait for the next moment; False once stopped."""
        if self._interval_s:
            delay_s = self._next - time.monotonic()
            if delay_s > 0:
                self._stopped.wait(delay_s)
            # After a pause the rhythm starts anew: there is no point in catching up.
            self._next = max(self._next + self._interval_s, time.monotonic())
        return not self._stopped.is_set()

    def stop(self) -> None:
        """Let every `wait` return at once."""
        self._stopped.set()
