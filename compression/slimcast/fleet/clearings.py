"""Retained states that are being deleted, until the broker has said so to everybody.

amqtt acknowledges a message before it passes it on, and drops what is still to be passed on when the sender
disconnects: whoever deletes something and leaves has to wait until it comes back.
"""

import threading
from collections.abc import Iterable


class Clearings:
    """Which of a device's topics somebody waits for. Thread-safe."""

    def __init__(self) -> None:
        self._due: set[tuple[str, str]] = set()
        self._changed = threading.Condition()

    def expect(self, device: str, suffixes: Iterable[str]) -> None:
        """Begin to wait for these topics of a device."""
        with self._changed:
            self._due |= {(device, suffix) for suffix in suffixes}

    def heard(self, device: str, suffix: str) -> None:
        """Take note that the broker has deleted one."""
        with self._changed:
            self._due.discard((device, suffix))
            self._changed.notify_all()

    def wait(self, device: str, timeout_s: float) -> bool:
        """Wait until all of a device's have been heard of; return whether they have."""
        with self._changed:
            done = self._changed.wait_for(lambda: all(name != device for name, _ in self._due), timeout_s)
            self._due = {one for one in self._due if one[0] != device}
        return done
