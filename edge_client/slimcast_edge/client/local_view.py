"""The picture of each camera with its answer, on a screen of the device."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection

import numpy as np

from slimcast_edge.client import overlay
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.outbox import to_result
from slimcast_edge.client.rate import Rate
from slimcast_edge.preview import Window
from slimcast_edge.slots import Slot

logger = logging.getLogger(__name__)

_REACT_S = 0.05


class LocalView:
    """Shows the newest frame of each camera, side by side.

    `put` belongs to the thread of the model, `run` to the one of the window.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._slot: Slot[Classified] = Slot()
        self._rates: defaultdict[str, Rate] = defaultdict(Rate)
        self._newest: dict[str, Classified] = {}  # not yet drawn, by camera
        self._drawn: dict[str, np.ndarray] = {}

    def put(self, item: Classified) -> None:
        """Take a frame; forgotten at once when the window is closed."""
        self._rates[item.frame.camera].note()
        if not self._slot.closed:
            self._newest[item.frame.camera] = item
            self._slot.put(item)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Show frames until it is over, or until the window's user closes it; the client goes on then."""
        try:
            while not is_over() and self._window.is_open():
                if self._slot.take(_REACT_S) is not None:
                    self._window.show(self._picture())
        finally:
            self._slot.close()
            self._slot.take(0)  # lets go of the last frames
            self._newest.clear()
            self._drawn.clear()
            self._window.close()
        if not is_over():
            logger.info("The preview was closed; the camera goes on.")

    def _picture(self) -> np.ndarray:
        for camera in list(self._newest):
            item = self._newest.pop(camera)
            text = overlay.caption(to_result(item, ""), overlay.PARTS, self._rates[camera].per_second)
            self._drawn[camera] = overlay.draw(item.frame.pixels, f"{camera}   {text}".strip())
        return side_by_side([self._drawn[name] for name in sorted(self._drawn)])


def side_by_side(pictures: Collection[np.ndarray]) -> np.ndarray:
    """Return uint8 (H, W, 3) pictures as one, H being the largest; what is lower has black below it."""
    first, *others = pictures
    if not others:
        return first
    height = max(len(picture) for picture in pictures)
    return np.hstack([np.pad(one, ((0, height - len(one)), (0, 0), (0, 0))) for one in pictures])
