"""Results and frames on their way to the broker."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slimcast_edge.client.leases import Leases
from slimcast_edge.client.loops import Classified
from slimcast_edge.errors import WireError
from slimcast_edge.frames import encode_frame
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import Prediction, Result, StreamSettings, topic

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

logger = logging.getLogger(__name__)

_MAX_WAITING = 10_000
"""Results that may wait while a frame is being encoded and sent; without their pictures they are small."""

_NO_PICTURE = np.empty((0, 0, 3), np.uint8)
_JITTER = 0.3  # share of an interval by which a frame may come early: a camera's clock and ours differ


class Outbox:
    """Publishes every result, and the newest frame once the last one has left; only while somebody watches.

    `put` belongs to the thread of the model, `run` to one of its own.
    """

    def __init__(
        self, connection: Connection, leases: Leases, *, site: str, device: str, session: str
    ) -> None:
        self._connection, self._leases, self._session = connection, leases, session
        self._result_topic, self._frame_topic = topic(site, device, "result"), topic(site, device, "frame")
        self._waiting: deque[Classified] = deque(maxlen=_MAX_WAITING)
        self._newest: Classified | None = None  # the only one whose picture is kept
        self._there = threading.Condition()
        self._stopped = False
        self.stream = StreamSettings()
        self._snapshots: list[Callable[[int], None]] = []
        self._last_frame: MQTTMessageInfo | None = None
        self._next_frame_at = 0.0

    def put(self, item: Classified) -> None:
        """Take a result; forgotten at once when nobody watches."""
        if not (self._snapshots or self._wanted()[0]):
            return
        with self._there:
            self._waiting.append(_without_picture(item))
            self._newest = item
            self._there.notify()

    def request_snapshot(self, done: Callable[[int], None]) -> None:
        """Publish the next frame whoever watches; `done` is called with its number."""
        self._snapshots.append(done)

    def stop(self) -> None:
        """Let `run` return."""
        with self._there:
            self._stopped = True
            self._there.notify()

    def run_once(self, timeout: float) -> bool:
        """Publish what waits, or wait for it; False once stopped."""
        with self._there:
            self._there.wait_for(lambda: self._waiting or self._stopped, timeout)
            if self._stopped:
                return False
            items, newest = list(self._waiting), self._newest
            self._waiting.clear()
            self._newest = None
        if newest is not None:
            try:
                self._publish(items, newest)
            except WireError as error:  # a label of thousands of characters, a frame that nothing makes small
                logger.warning("Not published: %s", error)
        return True

    def _wanted(self) -> tuple[bool, bool]:
        if self.stream.always:
            return True, True
        return self._leases.wanted()

    def _publish(self, items: list[Classified], newest: Classified) -> None:
        if not self._connection.connected:
            return
        results = [to_result(item, self._session) for item in items]
        if self._wanted()[0]:
            for result in results:
                self._connection.publish(self._result_topic, result.encode())
        snapshots, self._snapshots = self._snapshots, []
        if snapshots or (self._wanted()[1] and self._is_time()):
            self._publish_frame(newest.frame.pixels, results[-1])
        for done in snapshots:
            done(newest.frame.number)

    def _is_time(self) -> bool:
        now, interval = time.monotonic(), 1.0 / self.stream.max_fps
        if now < self._next_frame_at - _JITTER * interval or self._connection.is_pending(self._last_frame):
            return False
        self._next_frame_at = max(self._next_frame_at, now - interval) + interval
        return True

    def _publish_frame(self, pixels: np.ndarray, result: Result) -> None:
        jpeg = encode_frame(pixels, result, quality=self.stream.quality, width=self.stream.width)
        self._last_frame = self._connection.publish(self._frame_topic, jpeg)


def _without_picture(item: Classified) -> Classified:
    return replace(item, frame=replace(item.frame, pixels=_NO_PICTURE, small=None))


def to_result(item: Classified, session: str) -> Result:
    """Return the result as it travels."""
    answer, frame = item.answer, item.frame
    labels = answer.loaded.runtime.info.labels
    return Result(
        session=session,
        frame=frame.number,
        captured_at=frame.captured_at,
        classified_at=answer.classified_at,
        latency_ms=answer.latency_ms,
        artifact=answer.loaded.entry.sha256,
        predictions=[
            Prediction(label=labels[index], index=index, score=min(1.0, score))
            for index, score in answer.best
        ],
        expected=frame.expected,
    )
