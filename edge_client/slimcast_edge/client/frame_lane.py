"""Frames on their way to the broker: the newest one, once the last has left."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slimcast_edge.client import overlay
from slimcast_edge.client.pace import Pace
from slimcast_edge.frames import encode_frame
from slimcast_edge.mqtt import Connection
from slimcast_edge.region import Box
from slimcast_edge.wire import Result, StreamReport, StreamSettings

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

_JITTER = 0.3  # share of an interval by which a frame may come early: a camera's clock and ours differ


@dataclass(frozen=True, slots=True)
class _Flight:
    info: "MQTTMessageInfo | None"
    since: float
    connection: int


class FrameLane:
    """Encodes and publishes frames in the way that was ordered, and less where the link is slow."""

    def __init__(
        self, connection: Connection, topic: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection, self._topic, self._clock = connection, topic, clock
        self._pace = Pace(clock)
        self._flight: _Flight | None = None
        self._next_at = 0.0
        self._sent = 0
        self._delays_s: list[float] = []
        self._frame_width = 0

    def look(self) -> bool:
        """See whether the last frame has left, and return whether it still has to."""
        flight = self._flight
        if flight is None:
            return False
        if not self._connection.connected or flight.connection != self._connection.number:
            self._flight = None  # it went with its connection, whose end says nothing about the link's speed
            return False
        if self._connection.is_pending(flight.info):
            return True
        delay_s = self._clock() - flight.since
        self._flight = None
        self._delays_s.append(delay_s)
        self._pace.note(delay_s)
        return False

    def is_time(self, stream: StreamSettings) -> bool:
        """Return whether the next frame may go; if so, the one after it is due an interval later."""
        now, interval = self._clock(), 1.0 / self._pace.apply(stream, self._frame_width).max_fps
        if now < self._next_at - _JITTER * interval or self.look():
            return False
        self._next_at = max(self._next_at, now - interval) + interval
        return True

    def send(
        self,
        pixels: np.ndarray,
        result: Result,
        stream: StreamSettings,
        fps: float,
        box: Box | None = None,
    ) -> None:
        """Publish a frame.

        Args:
            pixels: uint8 (H, W, C). result: what the model said of it. stream: in which way.
            fps: frames classified a second, to be drawn where the overlay has it.
            box: to be drawn, see `overlay.box_of`.

        Raises:
            WireError: nothing makes it small enough.

        """
        self._frame_width = pixels.shape[1]
        now = self._pace.apply(stream, self._frame_width)
        text = overlay.caption(result, stream.overlay, fps)
        jpeg = encode_frame(
            pixels,
            result,
            quality=now.quality,
            width=now.width,
            draw=(lambda small: overlay.draw(small, text, box)) if text or box else None,
        )
        number, since = self._connection.number, self._clock()
        self._flight = _Flight(self._connection.publish(self._topic, jpeg), since, number)
        self._sent += 1

    def report(self, stream: StreamSettings, seconds: float) -> StreamReport:
        """Return how frames went since the last report, `seconds` ago."""
        now = self._pace.apply(stream, self._frame_width or stream.width)
        delays_s, self._delays_s = self._delays_s, []
        sent, self._sent = self._sent, 0
        return StreamReport(
            fps=sent / seconds,
            step=self._pace.step if stream.adapt else 0,
            max_fps=now.max_fps,
            quality=now.quality,
            width=now.width,
            delay_ms=statistics.median(delays_s) * 1e3 if delays_s else None,
        )
