"""What leaves the client: results, frames and pictures, each in a lane of its own."""

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from slimcast_edge.client.engine import Answer
from slimcast_edge.client.frame_lane import FrameLane
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.rate import Rate
from slimcast_edge.client.results import ResultLane
from slimcast_edge.client.snapshots import MAX_SENT_AGAIN, Album, Appearances, SnapshotLane
from slimcast_edge.errors import WireError
from slimcast_edge.mqtt import Connection
from slimcast_edge.mqtt.connection import MAX_DELAY_S
from slimcast_edge.wire import Result, SecondAnswer, StreamReport, StreamSettings, topic

logger = logging.getLogger(__name__)

_MAX_WAITING = 10_000
"""Results that may wait while a frame is being encoded and sent; without their pictures they are small."""

_MAX_PICTURES = 4
"""Frames that may wait to become pictures; these are whole."""

LATE_AFTER_S = MAX_DELAY_S
"""So long after a connect, all who listen are back as well; what is late must not be told to nobody."""

_NO_PICTURE = np.empty((0, 0, 3), np.uint8)
_IDLE_S, _BUSY_S = 1.0, 0.02


@dataclass(frozen=True, kw_only=True)
class OutboxOptions:
    """What of a stream is the device's own affair.

    Attributes:
        kept_results: as many results are kept while the broker is away.
        away_picture_s: a picture so often while the broker is away, s; 0: none.

    """

    kept_results: int = 5000
    away_picture_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _ToTake:
    """A frame that becomes a picture, and who has asked for it."""

    item: Classified
    asked: list[Callable[[int], None]]


class Outbox:
    """Publishes what somebody wants: results, the newest frame, pictures.

    `put` belongs to the thread of the model, `run_once` and `report` to one of their own.
    """

    def __init__(
        self,
        connection: Connection,
        leases: Leases,
        album: Album,
        *,
        identity: tuple[str, str, str],
        options: OutboxOptions | None = None,
    ) -> None:
        site, device, self._session = identity
        self._options = options or OutboxOptions()
        self._connection, self._leases, self._album = connection, leases, album
        self._results = ResultLane(connection, topic(site, device, "result"), kept=self._options.kept_results)
        self._frames = FrameLane(connection, topic(site, device, "frame"))
        self._snapshots = SnapshotLane(connection, topic(site, device, "snapshot"), album)
        self._appearances = Appearances()
        self._waiting: deque[Classified] = deque(maxlen=_MAX_WAITING)
        self._newest: Classified | None = None  # of those that wait, the only one whose picture is kept
        self._pictures: list[_ToTake] = []
        self._there = threading.Condition()
        self._stopped = False
        self.stream = StreamSettings()
        self._frame_asked = False
        self._asked: list[Callable[[int], None]] = []
        self._again: deque[int] = deque(maxlen=10)
        self._rate = Rate()
        self._next_away_picture = 0.0
        self._connected = (0, float("inf"))  # number of the connection, and since when

    def put(self, item: Classified) -> None:
        """Take a result; forgotten at once when nobody wants it."""
        self._rate.note()
        picture = self._is_picture(item) and len(self._pictures) < _MAX_PICTURES
        if not (picture or self._frame_asked or any(self._wanted())):
            return
        with self._there:
            if picture:
                asked, self._asked = self._asked, []  # each request has one picture
                self._pictures.append(_ToTake(item, asked))
            self._waiting.append(_without_picture(item))
            self._newest = item
            self._there.notify()

    def request_frame(self) -> None:
        """Send the next frame, whoever watches."""
        self._frame_asked = True

    def request_snapshot(self, done: Callable[[int], None]) -> None:
        """Take a picture of the next frame, whoever watches; `done` is called with its number."""
        self._asked.append(done)

    def send_again(self, count: int) -> int:
        """Send the newest pictures that are kept once more; return how many there are."""
        count = min(count, MAX_SENT_AGAIN)
        self._again.append(count)
        return len(self._album.newest(count))

    def stop(self) -> None:
        """Let `run_once` return."""
        with self._there:
            self._stopped = True
            self._there.notify()

    def run_once(self, timeout: float) -> bool:
        """Publish what waits, or wait for it; False once stopped."""
        longest = _BUSY_S if self._pump() else _IDLE_S
        with self._there:
            self._there.wait_for(lambda: self._waiting or self._stopped, min(timeout, longest))
            if self._stopped:
                return False
            items, newest = list(self._waiting), self._newest
            pictures, self._pictures = self._pictures, []
            self._waiting.clear()
            self._newest = None
        if newest is not None:
            self._guarded(lambda: self._publish(items, newest))
        for picture in pictures:
            self._guarded(functools.partial(self._take, picture))
        return True

    def report(self, seconds: float) -> StreamReport:
        """Return how the stream has gone since the last report, `seconds` ago."""
        report = self._frames.report(self.stream, seconds)
        return report.model_copy(update={"kept": self._results.kept, "lost": self._results.lost})

    def _wanted(self) -> tuple[bool, bool]:
        """Return whether results are wanted, and whether frames are."""
        if self.stream.always:
            return True, True
        results, frames = self._leases.wanted()
        return results or self.stream.results == "always", frames

    def _is_picture(self, item: Classified) -> bool:
        labels = item.answer.loaded.runtime.info.labels
        seen = [(labels[index], score) for index, score in item.answer.best]
        appears = self._appearances.look(self.stream.snapshots, seen)
        return appears or bool(self._asked) or self._is_away_picture()

    def _is_away_picture(self) -> bool:
        every_s, now = self._options.away_picture_s, time.monotonic()
        if every_s == 0 or self._connection.connected or now < self._next_away_picture:
            return False
        self._next_away_picture = now + every_s
        return True

    def _pump(self) -> bool:
        """Send what has waited for its turn; return whether there is more to do soon."""
        while self._again:
            self._snapshots.send_again(self._again.popleft())
        late = self._is_late_time()
        busy = [self._frames.look(), self._snapshots.pump(unsent=late), late and self._results.pump()]
        return any(busy)

    def _is_late_time(self) -> bool:
        """Return whether those who listen are there again: one has said so, or all have had the time."""
        if not self._connection.connected:
            return False
        number, now = self._connection.number, time.monotonic()
        if number != self._connected[0]:
            self._connected = (number, now)
        since = self._connected[1]
        return self._leases.renewed_at > since or now - since >= LATE_AFTER_S

    def _publish(self, items: list[Classified], newest: Classified) -> None:
        results_wanted, frames_wanted = self._wanted()
        results = [to_result(item, self._session) for item in items]
        if results_wanted:
            for result in results:
                self._results.send(result)
        asked, self._frame_asked = self._frame_asked, False
        if not self._connection.connected:
            return
        if (frames_wanted and self._frames.is_time(self.stream)) or (asked and not self._frames.look()):
            self._frames.send(newest.frame.pixels, results[-1], self.stream, self._rate.per_second)

    def _take(self, picture: _ToTake) -> None:
        frame = picture.item.frame
        self._snapshots.take(frame.pixels, to_result(picture.item, self._session))
        for done in picture.asked:
            done(frame.number)

    def _guarded(self, publish: Callable[[], None]) -> None:
        try:
            publish()
        except WireError as error:  # a label of thousands of characters, a frame that nothing makes small
            logger.warning("Not published: %s", error)


def _without_picture(item: Classified) -> Classified:
    return replace(item, frame=replace(item.frame, pixels=_NO_PICTURE, small=None))


def to_result(item: Classified, session: str) -> Result:
    """Return the result as it travels."""
    answer, frame = item.answer, item.frame
    return Result(
        session=session,
        frame=frame.number,
        captured_at=frame.captured_at,
        classified_at=answer.classified_at,
        latency_ms=answer.latency_ms,
        artifact=answer.loaded.entry.sha256,
        predictions=answer.predictions,
        expected=frame.expected,
        second=_second(item.second),
    )


def _second(answer: Answer | None) -> SecondAnswer | None:
    if answer is None:
        return None
    return SecondAnswer(
        artifact=answer.loaded.entry.sha256, latency_ms=answer.latency_ms, predictions=answer.predictions
    )
