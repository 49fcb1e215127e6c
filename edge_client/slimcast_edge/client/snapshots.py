"""Pictures that are kept: taken on request or when a class appears, and sent when somebody can take them."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slimcast_edge.errors import WireError
from slimcast_edge.frames import encode_frame
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import Result, SnapshotRule

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

logger = logging.getLogger(__name__)

QUALITY = 90
MAX_SENT_AGAIN = 12
_MAX_QUEUED = 16
_UNSENT, _SENT = ".new.jpg", ".jpg"


class Appearances:
    """Tells when a class of a rule appears; belongs to one thread. `clock` returns seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._rule: SnapshotRule | None = None

    def look(self, rule: SnapshotRule | None, seen: Iterable[tuple[str, float]]) -> bool:
        """Return whether a class appears, given (label, score) of what the model sees now."""
        if rule is None:
            return False
        if rule != self._rule:
            self._rule, self._seen = rule, {}
        now, appeared = self._clock(), False
        for label, score in seen:
            if label not in rule.classes or score < rule.min_score:
                continue
            appeared |= now - self._seen.get(label, float("-inf")) >= rule.absent_s
            self._seen[label] = now
        return appeared


class Album:
    """A folder with the newest `kept` pictures; names say of what moment, and which are sent.

    Where there are several cameras, the names say whose picture it is as well.

    A disk that is full or broken costs pictures, never the stream: it is logged, and `keep` returns None.
    """

    def __init__(self, folder: Path, *, kept: int) -> None:
        self._folder, self._kept = folder, kept
        self._failures = 0

    def keep(self, jpeg: bytes, result: Result) -> Path | None:
        """Write a picture and delete those that are too many; None where it is not kept."""
        if self._kept == 0:
            return None
        camera = f"{result.camera}-" if result.camera else ""
        path = self._folder / f"{int(result.captured_at * 1e3):015d}-{camera}{result.frame:012d}{_UNSENT}"
        draft = path.with_suffix(".draft")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(jpeg)
            draft.replace(path)
            for old in self._all()[: -self._kept]:
                old.unlink(missing_ok=True)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # the 1st, 2nd, 4th ...: a log fills disks, too
                logger.error("Cannot keep a picture in %s: %s", self._folder, error)
            return None
        return path

    def newest(self, count: int) -> list[Path]:
        """Return the newest pictures, oldest first."""
        return self._all()[-count:] if count > 0 else []

    def unsent(self) -> list[Path]:
        """Return the pictures that no broker has taken yet, oldest first."""
        return [path for path in self._all() if path.name.endswith(_UNSENT)]

    def mark_sent(self, path: Path) -> None:
        """Note that a broker has taken a picture."""
        if path.name.endswith(_UNSENT):
            with contextlib.suppress(OSError):
                path.replace(path.with_name(path.name.removesuffix(_UNSENT) + _SENT))

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("*.jpg"))


class SnapshotLane:
    """Takes pictures and publishes them one after the other, each once the last has arrived at the broker."""

    def __init__(self, connection: Connection, topic: str, album: Album) -> None:
        self._connection, self._topic, self._album = connection, topic, album
        self._queue: deque[Path | bytes] = deque(maxlen=_MAX_QUEUED)
        self._flight: tuple[MQTTMessageInfo, Path | bytes, int] | None = None
        self._behind: deque[Path] = deque()  # taken while the broker was away; no longer than the album
        self._behind_of = 0  # the connection for which that was found out

    def take(self, pixels: np.ndarray, result: Result) -> None:
        """Encode a picture in full size, keep it and send it; while the broker is away it waits in the album.

        Raises:
            WireError: nothing makes it small enough.

        """
        jpeg = encode_frame(pixels, result, quality=QUALITY, width=pixels.shape[1])
        path = self._album.keep(jpeg, result)
        if self._connection.connected:
            self._queue.append(path or jpeg)

    def send_again(self, count: int) -> int:
        """Send the newest pictures of the album once more; return how many."""
        paths = self._album.newest(count)
        self._queue.extend(path for path in paths if path not in self._queue)
        return len(paths)

    def pump(self, *, unsent: bool) -> bool:
        """Send the next picture, if the last has arrived; return whether there is more to do soon.

        `unsent`: also those that were taken while the broker was away.
        """
        if not self._connection.connected:
            self._flight = None
            return False
        if self._is_waiting():
            return True
        if unsent and self._behind_of != self._connection.number:
            self._behind_of = self._connection.number
            self._behind = deque(path for path in self._album.unsent() if path not in self._queue)
        while self._flight is None and (self._queue or self._behind):
            self._send(self._queue.popleft() if self._queue else self._behind.popleft())
        return self._flight is not None

    def _is_waiting(self) -> bool:
        if self._flight is None:
            return False
        info, item, number = self._flight
        if number == self._connection.number:
            if self._connection.is_pending(info):
                return True
            if isinstance(item, Path):
                self._album.mark_sent(item)
        self._flight = None
        return False

    def _send(self, item: Path | bytes) -> None:
        number = self._connection.number
        try:
            data = item.read_bytes() if isinstance(item, Path) else item
            info = self._connection.publish(self._topic, data)
        except (OSError, WireError):
            return  # deleted meanwhile, for newer ones; or none of ours
        if info is not None:
            self._flight = (info, item, number)
