"""A USB webcam or a video file, through OpenCV."""

import threading
import time
from typing import Any

from pydantic import Field

from slimcast_edge.camera.pace import Pace
from slimcast_edge.camera.port import CameraSettings, Frame
from slimcast_edge.errors import CameraError


class VideoSettings(CameraSettings):
    """Settings of the video camera."""

    source: int | str = Field(default=0, description="Number of the webcam, or path of a video file.")
    width: int | None = Field(default=None, ge=16, le=8192, description="Width to ask a webcam for, pixels.")
    height: int | None = Field(
        default=None, ge=16, le=8192, description="Height to ask a webcam for, pixels."
    )
    fps: float | None = Field(
        default=None, ge=0, le=1000, description="Frames a second; none: the source's own."
    )


class VideoCamera:
    """Reads a webcam, or a file again and again at its own rate."""

    def __init__(self, settings: VideoSettings) -> None:
        try:
            import cv2
        except ImportError as error:
            raise CameraError("The camera 'video' needs OpenCV: pip install slimcast[video]") from error
        self._cv2: Any = cv2
        self._source = settings.source
        # An index may come from the environment, as text.
        index = int(settings.source) if str(settings.source).isdecimal() else None
        self._is_file = index is None
        self._capture: Any = cv2.VideoCapture(settings.source if index is None else index)
        if not self._capture.isOpened():
            raise CameraError(f"Cannot open {self._name()}. Is it there, and is no other program using it?")
        if index is not None:
            self._ask_for(settings)
        own_fps = self._capture.get(cv2.CAP_PROP_FPS) or 30.0
        fps = settings.fps if settings.fps is not None else (own_fps if self._is_file else 0.0)
        self._pace = Pace(fps)
        self.waits = self._is_file and fps == 0
        self._lock = threading.Lock()
        self._number = 0

    def read(self) -> Frame:
        """Return the next frame; behind a file's end comes its beginning."""
        if not self._pace.wait():
            raise CameraError("The camera is closed.")
        with self._lock:
            there, image = self._next()
        captured_at = time.time()
        if not there:
            raise CameraError(f"{self._name()} gives no more frames. Has it been unplugged?")
        pixels = self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB)
        frame = Frame(pixels=pixels, captured_at=captured_at, number=self._number)
        self._number += 1
        return frame

    def close(self) -> None:
        """Let go of the webcam or file."""
        self._pace.stop()
        with self._lock:  # behind the frame that is just being read
            self._capture.release()

    def _next(self) -> tuple[bool, Any]:
        there, image = self._capture.read()
        if not there and self._is_file:
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
            there, image = self._capture.read()
        return there, image

    def _ask_for(self, settings: VideoSettings) -> None:
        cv2 = self._cv2
        wishes = {
            cv2.CAP_PROP_BUFFERSIZE: 1,
            cv2.CAP_PROP_FRAME_WIDTH: settings.width,
            cv2.CAP_PROP_FRAME_HEIGHT: settings.height,
            cv2.CAP_PROP_FPS: settings.fps,
        }
        for property_id, value in wishes.items():
            if value:
                self._capture.set(property_id, value)

    def _name(self) -> str:
        return f"the video file {self._source!r}" if self._is_file else f"webcam {self._source}"
