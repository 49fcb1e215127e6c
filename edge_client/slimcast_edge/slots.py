"""Places for one thing between two threads: the newest wins."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds at most one item; a new one takes the place of one that nobody has fetched yet.

    `changed`: told of each change; slots that share one can be waited for together, see `Ring`.
    """

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self._item: T | None = None
        self._closed = False
        self._changed = changed or threading.Condition(threading.Lock())

    def put(self, item: T) -> bool:
        """Leave an item; return whether an older one was lost for it."""
        with self._changed:
            lost = self._item is not None
            self._item = item
            self._changed.notify_all()
            return lost

    def take(self, timeout: float | None = None) -> T | None:
        """Wait for an item and take it; None after `timeout` seconds, or once closed."""
        with self._changed:
            if self._item is None and not self._closed:
                self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            return self.take_now()

    def take_now(self) -> T | None:
        """Take the item if there is one. The caller holds `changed`."""
        item, self._item = self._item, None
        if item is not None:
            self._changed.notify_all()
        return item

    def wait_empty(self, timeout: float | None = None) -> bool:
        """Wait until the item has been taken; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._item is None or self._closed, timeout)

    @property
    def full(self) -> bool:
        """Whether there is an item."""
        return self._item is not None

    @property
    def closed(self) -> bool:
        """Whether no more items will come."""
        return self._closed

    def close(self) -> None:
        """Wake everybody who waits; an item that is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Ring(Generic[T]):
    """Slots with one taker, who gets the newest item of each in turn: none starves behind a faster one."""

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition(threading.Lock())
        self.slots: tuple[Slot[T], ...] = tuple(Slot(self._changed) for _ in range(count))
        self._next = 0

    def take(self, timeout: float | None = None) -> T | None:
        """Wait for an item of whichever slot is next; None after `timeout` seconds, or once closed."""
        with self._changed:
            found = self._take_now()
            if found is None and not self.closed:
                self._changed.wait_for(lambda: self.waiting or self.closed, timeout)
                found = self._take_now()
            return found

    @property
    def waiting(self) -> bool:
        """Whether there is an item."""
        return any(slot.full for slot in self.slots)

    @property
    def closed(self) -> bool:
        """Whether no more items will come."""
        return all(slot.closed for slot in self.slots)

    def close(self) -> None:
        """Close all slots."""
        for slot in self.slots:
            slot.close()

    def _take_now(self) -> T | None:
        for step in range(len(self.slots)):
            index = (self._next + step) % len(self.slots)
            item = self.slots[index].take_now()
            if item is not None:
                self._next = (index + 1) % len(self.slots)
                return item
        return None
