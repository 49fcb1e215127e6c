"""A window that nobody sees."""

import numpy as np


class MemoryWindow:
    """Keeps the newest picture. `pictures`: how many were shown."""

    def __init__(self) -> None:
        self.newest: np.ndarray | None = None
        self.pictures = 0
        self._open = True

    def show(self, pixels: np.ndarray) -> None:
        """Keep the picture."""
        self.newest = pixels
        self.pictures += 1

    def is_open(self) -> bool:
        """Return whether it has not been closed."""
        return self._open

    def close(self) -> None:
        """Close it, as its user would."""
        self._open = False
