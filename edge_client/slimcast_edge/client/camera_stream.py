"""What leaves the client of one camera: when, how much of it, and who has asked for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from slimcast_edge.client.frame_lane import FrameLane
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.rate import Rate
from slimcast_edge.client.snapshots import Appearances
from slimcast_edge.wire import StreamSettings

_MAX_PICTURES = 4
"""Frames that may wait to become pictures; these are whole."""


@dataclass(frozen=True, slots=True)
class ToTake:
    """A frame that becomes a picture, and who has asked for it."""

    item: Classified
    asked: list[Callable[[int], None]]


class CameraStream:
    """One camera's share of the outbox. What waits is guarded by the outbox's lock.

    Attributes:
        order: how it streams.
        lane: its frames on their way.
        rate: of the frames that are classified.
        frame_asked: whether the next frame goes out, whoever watches.
        newest: of the results that wait, the only one whose picture is kept.
        pictures: frames that are to become pictures.

    """

    def __init__(self, lane: FrameLane, *, away_picture_s: float) -> None:
        self.lane = lane
        self.order = StreamSettings()
        self.rate = Rate()
        self.frame_asked = False
        self.newest: Classified | None = None
        self.pictures: list[ToTake] = []
        self._appearances = Appearances()
        self._asked: list[Callable[[int], None]] = []
        self._away_picture_s, self._next_away_picture = away_picture_s, 0.0

    def ask_picture(self, done: Callable[[int], None]) -> None:
        """Take a picture of the next frame; `done` is called with its number."""
        self._asked.append(done)

    def is_picture(self, item: Classified, *, away: bool) -> bool:
        """Return whether a frame is to become a picture. `away`: the broker is."""
        labels = item.answer.loaded.runtime.info.labels
        seen = [(labels[index], score) for index, score in item.answer.best]
        appears = self._appearances.look(self.order.snapshots, seen)
        wanted = appears or bool(self._asked) or (away and self._is_away_time())
        return wanted and len(self.pictures) < _MAX_PICTURES

    def add_picture(self, item: Classified) -> None:
        """Have a frame become a picture, for all who have asked for one."""
        asked, self._asked = self._asked, []  # each request has one picture
        self.pictures.append(ToTake(item, asked))

    def take(self) -> tuple[Classified | None, list[ToTake]]:
        """Return what waits, and forget it here."""
        newest, pictures = self.newest, self.pictures
        self.newest, self.pictures = None, []
        return newest, pictures

    def _is_away_time(self) -> bool:
        now = time.monotonic()
        if self._away_picture_s == 0 or now < self._next_away_picture:
            return False
        self._next_away_picture = now + self._away_picture_s
        return True
