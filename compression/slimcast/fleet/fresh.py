"""What the store says of names, as the hub asks it: at each message, so not of the database each time."""

import time
from collections.abc import Callable, Iterable

from slimcast.errors import StoreError

FRESH_S = 1.0
"""How long an answer is used again: another process may change the store meanwhile."""


class FreshSet:
    """Names that the store holds, as of a second ago at most. While it is away, the last answer stands."""

    def __init__(
        self, read: Callable[[], Iterable[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._clock = read, clock
        self._known: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    def __contains__(self, name: str) -> bool:
        """Return whether a name is among them."""
        now = self._clock()
        if now - self._read_at > FRESH_S:
            try:
                self._known = frozenset(self._read())
            except StoreError:
                return name in self._known
            self._read_at = now
        return name in self._known

    def forget(self) -> None:
        """Ask the store when the next question comes, however soon that is."""
        self._read_at = float("-inf")
