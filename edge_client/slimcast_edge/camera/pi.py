"""A Raspberry Pi camera module, through Picamera2.

Opened once and never again: opening and closing leaks in libcamera and fails after some rounds. The model
looks at the small `lores` stream that the Pi's image processor scales for nothing; people look at `main`.
"""

import threading
import time
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from slimcast_edge.camera.port import CameraSettings, Frame
from slimcast_edge.camera.yuv import yuv420_to_rgb
from slimcast_edge.errors import CameraError

_RGB_IN_MEMORY = "BGR888"  # libcamera names its formats in the order of a little-endian word


class PiCameraSettings(CameraSettings):
    """Settings of the Raspberry Pi camera."""

    index: int = Field(default=0, ge=0, le=8, description="Which camera, where there are several.")
    width: int = Field(default=640, ge=64, le=4608, multiple_of=2, description="Width of the stream, pixels.")
    height: int = Field(
        default=480, ge=64, le=4608, multiple_of=2, description="Height of the stream, pixels."
    )
    small_width: int = Field(
        default=320, ge=32, le=1920, multiple_of=2, description="Width for the model, pixels."
    )
    small_height: int = Field(
        default=240, ge=32, le=1920, multiple_of=2, description="Height for the model, pixels."
    )
    small_format: Literal["yuv420", "rgb"] = Field(
        default="yuv420", description="`rgb` only on a Raspberry Pi 5."
    )
    fps: float = Field(default=30.0, gt=0, le=240, description="Frames a second.")

    @model_validator(mode="after")
    def _small_is_small(self) -> "PiCameraSettings":
        if self.small_width > self.width or self.small_height > self.height:
            raise ValueError("the picture for the model cannot be larger than the stream")
        return self


class PiCamera:
    """An open Picamera2."""

    waits = False

    def __init__(self, settings: PiCameraSettings) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise CameraError(
                "The camera 'picamera2' needs Raspberry Pi OS's package: apt install python3-picamera2, in a "
                "virtual environment made with --system-site-packages."
            ) from error
        self._settings = settings
        self._number = 0
        self._closed = False
        self._lock = threading.Lock()
        try:
            self._camera: Any = Picamera2(settings.index)
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": (settings.width, settings.height), "format": _RGB_IN_MEMORY},
                    lores={
                        "size": (settings.small_width, settings.small_height),
                        "format": "YUV420" if settings.small_format == "yuv420" else _RGB_IN_MEMORY,
                    },
                    controls={"FrameRate": settings.fps},
                    buffer_count=4,
                )
            )
            self._camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise CameraError(
                f"Cannot open Raspberry Pi camera {settings.index}: {error}. Does rpicam-hello list it?"
            ) from error

    def read(self) -> Frame:
        """Wait for the next frame of both streams."""
        with self._lock:
            if self._closed:
                raise CameraError("The camera is closed.")
            pixels, small, metadata = self._capture()
        settings = self._settings
        if settings.small_format == "yuv420":
            small = yuv420_to_rgb(small, settings.small_width, settings.small_height)
        frame = Frame(
            pixels=pixels,
            captured_at=_exposed_at(metadata.get("SensorTimestamp")),
            number=self._number,
            small=small,
        )
        self._number += 1
        return frame

    def close(self) -> None:
        """Stop and close the camera; once, at the end of the process."""
        with self._lock:  # behind the frame that is just being read
            if not self._closed:
                self._closed = True
                self._camera.stop()
                self._camera.close()

    def _capture(self) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        try:
            request = self._camera.capture_request()
        except (RuntimeError, OSError) as error:
            raise CameraError(f"The Raspberry Pi camera gives no more frames: {error}") from error
        try:
            return request.make_array("main"), request.make_array("lores"), request.get_metadata()
        finally:
            request.release()  # the camera has only a few buffers


def _exposed_at(sensor_ns: int | None) -> float:
    """Return the Unix time of an exposure: a frame can be older than the call that fetched it."""
    now = time.time()
    if sensor_ns is None:
        return now
    age_s = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - sensor_ns) / 1e9
    return now - age_s if 0 <= age_s < 60 else now
