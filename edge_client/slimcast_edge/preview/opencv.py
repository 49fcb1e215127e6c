"""A window through OpenCV's imshow."""

import os
import sys
from typing import Any

import numpy as np

from slimcast_edge.errors import PreviewError

TITLE = "Slimcast"
_ESCAPE = 27


class OpenCvWindow:
    """A window that its user can resize; Escape, q or its own button closes it."""

    def __init__(self) -> None:
        # Asked first, since a Qt build of OpenCV ends the whole process where there is no screen.
        if sys.platform.startswith("linux") and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            raise PreviewError(
                "There is no screen for the preview: neither DISPLAY nor WAYLAND_DISPLAY is set. Start the "
                "client in a desktop session, or without --preview and watch it on the studio's Live page."
            )
        try:
            import cv2
        except ImportError as error:
            raise PreviewError(
                "The preview needs OpenCV. Install it with: sudo apt install python3-opencv "
                "(Raspberry Pi OS), or: pip install opencv-python"
            ) from error
        self._cv2: Any = cv2
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise PreviewError(
                "The OpenCV that is installed opens no windows, as opencv-python-headless does. Replace it "
                "with: pip uninstall -y opencv-python-headless && pip install opencv-python"
            ) from error

    def show(self, pixels: np.ndarray) -> None:
        """Show a picture, uint8 (H, W, 3) RGB or (H, W, 1) grey."""
        is_colour = pixels.shape[-1] == 3
        self._cv2.imshow(TITLE, self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2BGR) if is_colour else pixels)

    def is_open(self) -> bool:
        """Let the window react to its user, and return whether it is still there."""
        try:
            pressed = self._cv2.waitKey(1) & 0xFF
            visible: float = self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE)
        except self._cv2.error:  # some builds answer so once the window is gone
            return False
        return visible >= 1 and pressed not in (_ESCAPE, ord("q"))

    def close(self) -> None:
        """Close it."""
        self._cv2.destroyAllWindows()
