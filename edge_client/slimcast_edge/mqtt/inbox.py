"""Messages that have arrived, on their way from the network thread to the one that handles them."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from slimcast_edge.wire import TOPICS, Address

MAX_MESSAGES = 2000
MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Received:
    """One message."""

    address: Address
    payload: bytes


Item = Received | Callable[[], None]


class Inbox:
    """A bounded queue in which state and commands come before frames and chunks.

    Frames and chunks come again, or are asked for again: when the queue is full, the oldest of them goes.
    """

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._urgent: deque[Item] = deque()
        self._bulk: deque[Received] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> int:
        """Add a message, or something to call; return how many messages were dropped for it."""
        dropped = 0
        with self._changed:
            if self._closed:
                return 0
            if isinstance(item, Received):
                while self._is_full(len(item.payload)) and self._bulk:
                    self._bytes -= len(self._bulk.popleft().payload)
                    dropped += 1
                if self._is_full(len(item.payload)):
                    return dropped + 1
                self._bytes += len(item.payload)
            if isinstance(item, Received) and TOPICS[item.address.suffix].qos == 0:
                self._bulk.append(item)
            else:
                self._urgent.append(item)
            self._changed.notify()
        return dropped

    def get(self) -> Item | None:
        """Wait for the next message; None once the inbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._urgent or self._bulk or self._closed)
            if self._closed:
                return None
            item = self._urgent.popleft() if self._urgent else self._bulk.popleft()
            if isinstance(item, Received):
                self._bytes -= len(item.payload)
            return item

    def close(self) -> None:
        """Drop what is left and let `get` return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_full(self, more: int) -> bool:
        return (
            len(self._urgent) + len(self._bulk) >= self._max_messages or self._bytes + more > self._max_bytes
        )
