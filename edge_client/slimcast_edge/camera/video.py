"""A USB webcam, a stream from the network (RTSP, HTTP) or a video file, through OpenCV."""

import logging
import threading
import time
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from slimcast_edge.camera.clock import unix_time
from slimcast_edge.camera.pace import Pace
from slimcast_edge.camera.port import CameraSettings, Frame
from slimcast_edge.errors import CameraAway, CameraError

logger = logging.getLogger(__name__)

_TIMEOUT_MS = 5000  # of a network stream: to open it, and between two frames
_V4L2_AUTOMATIC, _V4L2_MANUAL = 3, 1  # of the control V4L2_CID_EXPOSURE_AUTO
_V4L2_UNITS_PER_MS = 10  # that control's time counts in 100 us
_CLOSE_S = 1.0


class _Kind(Enum):
    WEBCAM = "webcam"
    STREAM = "the stream"
    FILE = "the video file"


class VideoSettings(CameraSettings):
    """Settings of the video camera."""

    source: int | str = Field(
        default=0,
        description="Number of the webcam; a device such as /dev/v4l/by-id/..., which stays the same in any "
        "socket; rtsp://[user:password@]host/path or http://...; or the path of a video file.",
    )
    width: int | None = Field(default=None, ge=16, le=8192, description="Width to ask a webcam for, pixels.")
    height: int | None = Field(
        default=None, ge=16, le=8192, description="Height to ask a webcam for, pixels."
    )
    fps: float | None = Field(
        default=None, ge=0, le=1000, description="Frames a second; none: the source's own."
    )


class VideoCamera:
    """Reads a webcam or a stream as frames come, or a file again and again at its own rate."""

    def __init__(self, settings: VideoSettings) -> None:
        try:
            import cv2
        except ImportError as error:
            raise CameraError("The camera 'video' needs OpenCV: pip install slimcast[video]") from error
        self._cv2: Any = cv2
        self._kind, self._source = _recognised(settings.source)
        self._capture: Any = self._opened()
        if not self._capture.isOpened():
            problem = CameraError if self._kind is _Kind.FILE else CameraAway
            raise problem(f"Cannot open {self._name()}. {self._advice()}")
        if self._kind is _Kind.WEBCAM:
            self._ask_for(settings)
        own_fps = self._capture.get(cv2.CAP_PROP_FPS) or 30.0
        is_file = self._kind is _Kind.FILE
        fps = settings.fps if settings.fps is not None else (own_fps if is_file else 0.0)
        self._pace = Pace(fps)
        self.waits = is_file and fps == 0
        self._lock = threading.Lock()
        self._number = 0

    def read(self) -> Frame:
        """Return the next frame; behind a file's end comes its beginning."""
        if not self._pace.wait():
            raise CameraError("The camera is closed.")
        with self._lock:
            there, image = self._next()
            captured_at = self._exposed_at()
        if not there:
            raise CameraAway(f"{self._name()} gives no more frames. {self._advice()}")
        pixels = self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB)
        frame = Frame(pixels=pixels, captured_at=captured_at, number=self._number)
        self._number += 1
        return frame

    def expose(self, exposure_ms: float | None, gain: float | None) -> None:
        """Set exposure and gain of a webcam; what it does not take is logged."""
        if self._kind is not _Kind.WEBCAM:
            return
        cv2, automatic = self._cv2, exposure_ms is None
        wishes: list[tuple[int, float, str]] = [
            (cv2.CAP_PROP_AUTO_EXPOSURE, _V4L2_AUTOMATIC if automatic else _V4L2_MANUAL, "exposure")
        ]
        if exposure_ms is not None:
            wishes.append((cv2.CAP_PROP_EXPOSURE, exposure_ms * _V4L2_UNITS_PER_MS, "exposure"))
        if gain is not None:
            wishes.append((cv2.CAP_PROP_GAIN, gain, "gain"))
        with self._lock:
            refused = {what for number, value, what in wishes if not self._capture.set(number, value)}
        if refused and not (automatic and gain is None):
            logger.warning("%s does not take: %s.", self._name(), ", ".join(sorted(refused)))

    def close(self) -> None:
        """Let go of the webcam, stream or file."""
        self._pace.stop()
        # Behind the frame that is just being read; one that never comes does not hold up the end.
        if self._lock.acquire(timeout=_CLOSE_S):
            try:
                self._capture.release()
            finally:
                self._lock.release()

    def _opened(self) -> Any:
        cv2 = self._cv2
        if self._kind is not _Kind.STREAM:
            return cv2.VideoCapture(self._source)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
        return cv2.VideoCapture(self._source, cv2.CAP_FFMPEG, limits)

    def _next(self) -> tuple[bool, Any]:
        there, image = self._capture.read()
        if not there and self._kind is _Kind.FILE:
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
            there, image = self._capture.read()
        return there, image

    def _exposed_at(self) -> float:
        """Return when the frame was taken: webcams say it, by the clock that never jumps."""
        if self._kind is not _Kind.WEBCAM:
            return time.time()
        return unix_time(self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1e3 or None, time.CLOCK_MONOTONIC)

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
        source = _without_password(self._source) if self._kind is _Kind.STREAM else self._source
        return f"{self._kind.value} {source!r}" if isinstance(source, str) else f"{self._kind.value} {source}"

    def _advice(self) -> str:
        return {
            _Kind.WEBCAM: "Is it plugged in (ls /dev/video*), and is no other program using it?",
            _Kind.STREAM: "Is the sender switched on, and are address, user and password right?",
            _Kind.FILE: "Is it there, and a video?",
        }[self._kind]


def _recognised(source: int | str) -> tuple[_Kind, int | str]:
    if str(source).isdecimal():  # an index may come from the environment, as text
        return _Kind.WEBCAM, int(source)
    text = str(source)
    if "://" in text:
        return _Kind.STREAM, text
    return (_Kind.WEBCAM if text.startswith("/dev/") else _Kind.FILE), text


def is_webcam(source: int | str) -> bool:
    """Return whether a source is a device, which one process at a time can have."""
    return _recognised(source)[0] is _Kind.WEBCAM


def _without_password(url: int | str) -> str:
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
