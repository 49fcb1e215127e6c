"""The camera's picture with its answer, on a screen of the device."""

import logging
from collections.abc import Callable

from slimcast_edge.client import overlay
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.outbox import to_result
from slimcast_edge.client.rate import Rate
from slimcast_edge.preview import Window
from slimcast_edge.slots import Slot

logger = logging.getLogger(__name__)

_REACT_S = 0.05


class LocalView:
    """Shows the newest frame. `put` belongs to the thread of the model, `run` to the one of the window."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._slot: Slot[Classified] = Slot()
        self._rate = Rate()

    def put(self, item: Classified) -> None:
        """Take a frame; forgotten at once when the window is closed."""
        self._rate.note()
        if not self._slot.closed:
            self._slot.put(item)

    def run(self, is_over: Callable[[], bool]) -> None:
        """Show frames until it is over, or until the window's user closes it; the client goes on then."""
        try:
            while not is_over() and self._window.is_open():
                item = self._slot.take(_REACT_S)
                if item is not None:
                    text = overlay.caption(to_result(item, ""), overlay.PARTS, self._rate.per_second)
                    self._window.show(overlay.draw(item.frame.pixels, text))
        finally:
            self._slot.close()
            self._slot.take(0)  # lets go of the last frame
            self._window.close()
        if not is_over():
            logger.info("The preview was closed; the camera goes on.")
