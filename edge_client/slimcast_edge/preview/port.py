"""What a window can do."""

from typing import Protocol

import numpy as np


class Window(Protocol):
    """An open window; its methods are called by one thread, the one that opened it.

    The constructor raises `PreviewError` where it cannot be opened, with what to do about it.
    """

    def show(self, pixels: np.ndarray) -> None:
        """Show a picture, uint8 (H, W, 3) RGB or (H, W, 1) grey."""

    def is_open(self) -> bool:
        """Let the window react to its user, and return whether it is still there."""

    def close(self) -> None:
        """Close it."""
