"""A folder of images, shown in turn."""

import logging
import time
from pathlib import Path

import numpy as np
from pydantic import Field

from slimcast_edge.camera.images import find_images, label_of, read_image
from slimcast_edge.camera.pace import Pace
from slimcast_edge.camera.port import CameraSettings, Frame
from slimcast_edge.errors import CameraError

logger = logging.getLogger(__name__)
_KEEP_BYTES = 32 << 20


class FolderSettings(CameraSettings):
    """Settings of the folder camera."""

    path: Path = Field(
        description="Folder of images; labels from `LABEL_...png` or from the folder's own folders."
    )
    fps: float = Field(
        default=30.0, ge=0, le=1000, description="Frames a second; 0: as fast as the model takes them."
    )
    wait: bool = Field(default=False, description="Wait for a slower model instead of dropping frames.")


class FolderCamera:
    """Shows the images again and again; a small set is decoded only once."""

    def __init__(self, settings: FolderSettings) -> None:
        folder = settings.path.expanduser()
        self._images = [(path, label_of(path, folder)) for path in find_images(folder)]
        self._cache: dict[Path, np.ndarray] = {}
        self._cached_bytes = 0
        self._pace = Pace(settings.fps)
        self.waits = settings.wait or settings.fps == 0
        self._number = 0
        self._at = 0

    def read(self) -> Frame:
        """Return the next image that can be read."""
        pixels, label = self._next_image()
        if not self._pace.wait():
            raise CameraError("The camera is closed.")
        frame = Frame(pixels=pixels, captured_at=time.time(), number=self._number, expected=label)
        self._number += 1
        return frame

    def close(self) -> None:
        """Stop."""
        self._pace.stop()

    def _next_image(self) -> tuple[np.ndarray, str | None]:
        for _ in range(len(self._images)):
            path, label = self._images[self._at % len(self._images)]
            self._at += 1
            try:
                return self._pixels(path), label
            except CameraError as error:  # one damaged file does not stop the others
                logger.warning("%s", error)
        raise CameraError("None of the folder's images can be read.")

    def _pixels(self, path: Path) -> np.ndarray:
        pixels = self._cache.get(path)
        if pixels is None:
            pixels = read_image(path)
            if self._cached_bytes + pixels.nbytes <= _KEEP_BYTES:
                self._cache[path] = pixels
                self._cached_bytes += pixels.nbytes
        return pixels
