"""A place for one thing between two threads: the newest wins."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds at most one item; a new one takes the place of one that nobody has fetched yet."""

    def __init__(self) -> None:
        self._item: T | None = None
        self._closed = False
        self._changed = threading.Condition(threading.Lock())

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
            item, self._item = self._item, None
            if item is not None:
                self._changed.notify_all()
            return item

    def wait_empty(self, timeout: float | None = None) -> bool:
        """Wait until the item has been taken; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._item is None or self._closed, timeout)

    @property
    def closed(self) -> bool:
        """Whether no more items will come."""
        return self._closed

    def close(self) -> None:
        """Wake everybody who waits; an item that is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
