"""What the demo learns from the frames that it watches."""

import threading
import time
from dataclasses import dataclass
from itertools import pairwise

from slimcast.fleet import FramePacket
from slimcast_edge.wire import Result

AROUND_SWAP_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Frames counted: how many came, and how many had the right label."""

    frames: int
    correct: int


@dataclass(frozen=True, kw_only=True)
class Swap:
    """What happened around a model swap, from two seconds before it to two after.

    Attributes:
        gap_ms: longest time between two results.
        lost: frames without a result; they count into the gap around them.
    """

    gap_ms: float
    lost: int


class Recorder:
    """Counts frames, and keeps the result of each one that was classified. Called on the hub's thread."""

    def __init__(self) -> None:
        self._frames: list[Result] = []
        self._results: list[Result] = []
        self._lock = threading.Lock()
        self.first_frame_at = 0.0
        """When the first frame came, on the monotonic clock, s."""

    def on_frame(self, packet: FramePacket) -> None:
        """Take in a frame that was streamed."""
        with self._lock:
            self.first_frame_at = self.first_frame_at or time.monotonic()
            self._frames.append(packet.result)

    def on_result(self, result: Result) -> None:
        """Take in a result; they come for every frame, streamed or not."""
        with self._lock:
            self._results.append(result)

    def tally(self, artifact: str | None = None) -> Tally:
        """Count all frames that came, or those that one artifact has classified."""
        with self._lock:
            frames = [result for result in self._frames if artifact in (None, result.artifact)]
        return Tally(frames=len(frames), correct=sum(_is_right(result) for result in frames))

    def swap(self, artifact: str) -> Swap | None:
        """Return what happened when that artifact took over; None when that was not seen."""
        with self._lock:
            results = sorted(self._results, key=lambda result: result.frame)
        first = next((i for i, result in enumerate(results) if result.artifact == artifact), 0)
        if first == 0:
            return None
        swapped_at = results[first].classified_at
        near = [r for r in results if abs(r.classified_at - swapped_at) <= AROUND_SWAP_S]
        pairs = list(pairwise(near))
        if not pairs:
            return None
        return Swap(
            gap_ms=1000 * max(after.classified_at - before.classified_at for before, after in pairs),
            lost=sum(after.frame - before.frame - 1 for before, after in pairs),
        )


def _is_right(result: Result) -> bool:
    return bool(result.predictions) and result.predictions[0].label == result.expected
