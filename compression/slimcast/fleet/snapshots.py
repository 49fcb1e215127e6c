"""Pictures that devices have taken, the newest of each, held in memory: the devices keep them on disk."""

import threading
from collections import deque
from collections.abc import Callable

from slimcast.fleet.records import FramePacket

MAX_EACH = 12
MAX_BYTES = 48 << 20


class SnapshotShelf:
    """The newest pictures by camera; when all together are too large, the one that came first goes."""

    def __init__(self, *, max_each: int = MAX_EACH, max_bytes: int = MAX_BYTES) -> None:
        self._max_each, self._max_bytes = max_each, max_bytes
        self._pictures: deque[FramePacket] = deque()
        self._lock = threading.Lock()

    def add(self, picture: FramePacket) -> None:
        """Keep a picture; one that was sent again takes the place of its first copy."""
        with self._lock:
            self._drop(lambda kept: _identity(kept) == _identity(picture))
            self._pictures.append(picture)
            same = [
                kept for kept in sorted(self._of(picture.device), key=_age) if kept.source == picture.source
            ]
            if len(same) > self._max_each:
                self._drop(lambda kept: kept is same[0])
            while self._pictures and sum(len(kept.jpeg) for kept in self._pictures) > self._max_bytes:
                self._pictures.popleft()

    def of(self, device: str) -> list[FramePacket]:
        """Return the pictures of a device, newest first."""
        with self._lock:
            return sorted(self._of(device), key=_age, reverse=True)

    def _of(self, device: str) -> list[FramePacket]:
        return [kept for kept in self._pictures if kept.device == device]

    def _drop(self, goes: Callable[[FramePacket], bool]) -> None:
        self._pictures = deque(kept for kept in self._pictures if not goes(kept))


def _identity(picture: FramePacket) -> tuple[str, str, int]:
    return picture.source, picture.result.session, picture.result.frame


def _age(picture: FramePacket) -> float:
    return picture.result.captured_at
