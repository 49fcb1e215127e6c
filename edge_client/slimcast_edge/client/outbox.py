"""What leaves the client: results, frames and pictures, each in a lane of its own."""

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from slimcast_edge.camera.configured import ONLY
from slimcast_edge.client import overlay
from slimcast_edge.client.camera_stream import CameraStream, ToTake
from slimcast_edge.client.engine import Answer
from slimcast_edge.client.frame_lane import FrameLane
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.results import ResultLane
from slimcast_edge.client.snapshots import MAX_SENT_AGAIN, Album, SnapshotLane
from slimcast_edge.errors import WireError
from slimcast_edge.mqtt import Connection
from slimcast_edge.mqtt.backoff import MAX_DELAY_S
from slimcast_edge.wire import Desired, Result, SecondAnswer, StreamReport, topic

logger = logging.getLogger(__name__)

_MAX_WAITING = 10_000
"""Results that may wait while a frame is being encoded and sent; without their pictures they are small."""

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


class Outbox:
    """Publishes what somebody wants: results, the newest frame of each camera, pictures.

    `put` belongs to the thread of the model, `run_once` and `reports` to one of their own.

    Args:
        cameras: the names of all cameras.

    Attributes:
        streams: what belongs to one camera alone, by its name.

    """

    def __init__(
        self,
        connection: Connection,
        leases: Leases,
        album: Album,
        *,
        identity: tuple[str, str, str],
        options: OutboxOptions | None = None,
        cameras: Sequence[str] = (ONLY,),
    ) -> None:
        site, device, self._session = identity
        options = options or OutboxOptions()
        self._connection, self._leases, self._album = connection, leases, album
        self._results = ResultLane(connection, topic(site, device, "result"), kept=options.kept_results)
        self._snapshots = SnapshotLane(connection, topic(site, device, "snapshot"), album)
        self.streams = {
            name: CameraStream(
                FrameLane(connection, _frame_topic(site, device, name)), away_picture_s=options.away_picture_s
            )
            for name in cameras
        }
        self._waiting: deque[Classified] = deque(maxlen=_MAX_WAITING)
        self._there = threading.Condition()
        self._stopped = False
        self._again: deque[int] = deque(maxlen=10)
        self._connected = (0, float("inf"))  # number of the connection, and since when

    def put(self, item: Classified) -> None:
        """Take a result; forgotten at once when nobody wants it."""
        camera = item.frame.camera
        stream = self.streams[camera]
        stream.rate.note()
        picture = stream.is_picture(item, away=not self._connection.connected)
        if not (picture or stream.frame_asked or any(self._wanted(camera))):
            return
        with self._there:
            if picture:
                stream.add_picture(item)
            self._waiting.append(_without_picture(item))
            stream.newest = item
            self._there.notify()

    def obey(self, order: Desired) -> None:
        """Stream in this way from now on."""
        for name, stream in self.streams.items():
            stream.order = order.stream_of(name)

    def request_frame(self) -> None:
        """Send the next frame of each camera, whoever watches."""
        for stream in self.streams.values():
            stream.frame_asked = True

    def request_snapshot(self, done: Callable[[int], None], camera: str = ONLY) -> None:
        """Take a picture of a camera's next frame, whoever watches; `done` is called with its number."""
        self.streams[camera].ask_picture(done)

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
            items = list(self._waiting)
            self._waiting.clear()
            taken = [(stream, *stream.take()) for stream in self.streams.values()]
        self._guarded(lambda: self._publish_results(items))
        for stream, newest, pictures in taken:
            if newest is not None:
                self._guarded(functools.partial(self._publish_frame, stream, newest))
            for picture in pictures:
                self._guarded(functools.partial(self._take, picture))
        return True

    def reports(self, seconds: float) -> dict[str, StreamReport]:
        """Return how each camera's stream has gone since the last report, `seconds` ago."""
        return {name: stream.lane.report(stream.order, seconds) for name, stream in self.streams.items()}

    @property
    def late(self) -> tuple[int, int]:
        """How many results wait to be sent late, and how many found no room there."""
        return self._results.kept, self._results.lost

    def _wanted(self, camera: str) -> tuple[bool, bool]:
        """Return whether results of a camera are wanted, and whether frames are."""
        order = self.streams[camera].order
        if order.always:
            return True, True
        results, frames = self._leases.wanted(camera)
        return results or order.results == "always", frames

    def _pump(self) -> bool:
        """Send what has waited for its turn; return whether there is more to do soon."""
        while self._again:
            self._snapshots.send_again(self._again.popleft())
        late = self._is_late_time()
        flying = [stream.lane.look() for stream in self.streams.values()]
        busy = [*flying, self._snapshots.pump(unsent=late), late and self._results.pump()]
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

    def _publish_results(self, items: list[Classified]) -> None:
        wanted = {camera for camera in self.streams if self._wanted(camera)[0]}
        for item in items:
            if item.frame.camera in wanted:
                self._results.send(to_result(item, self._session))

    def _publish_frame(self, stream: CameraStream, newest: Classified) -> None:
        _, wanted = self._wanted(newest.frame.camera)
        asked, stream.frame_asked = stream.frame_asked, False
        if not self._connection.connected:
            return
        if (wanted and stream.lane.is_time(stream.order)) or (asked and not stream.lane.look()):
            result, pixels = to_result(newest, self._session), newest.frame.pixels
            box = overlay.box_of(pixels, newest.answer.loaded.runtime.info, stream.order.overlay)
            stream.lane.send(pixels, result, stream.order, stream.rate.per_second, box)

    def _take(self, picture: ToTake) -> None:
        frame = picture.item.frame
        self._snapshots.take(frame.pixels, to_result(picture.item, self._session))
        for done in picture.asked:
            done(frame.number)

    def _guarded(self, publish: Callable[[], None]) -> None:
        try:
            publish()
        except WireError as error:  # a label of thousands of characters, a frame that nothing makes small
            logger.warning("Not published: %s", error)


def _frame_topic(site: str, device: str, camera: str) -> str:
    # One of several has a topic of its own: who shows a topic's pictures must not see them by turns.
    return topic(site, device, "camera", camera) if camera else topic(site, device, "frame")


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
        camera=frame.camera,
    )


def _second(answer: Answer | None) -> SecondAnswer | None:
    if answer is None:
        return None
    return SecondAnswer(
        artifact=answer.loaded.entry.sha256, latency_ms=answer.latency_ms, predictions=answer.predictions
    )
