"""A Raspberry Pi camera module, through Picamera2.

Opened once and never again: opening and closing leaks in libcamera and fails after some rounds. The model
looks at the small `lores` stream that the Pi's image processor scales for nothing; people look at `main`.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from slimcast_edge.camera.clock import unix_time
from slimcast_edge.camera.port import CameraSettings, Frame
from slimcast_edge.camera.yuv import yuv420_to_rgb
from slimcast_edge.errors import CameraAway, CameraError

logger = logging.getLogger(__name__)

_RGB_IN_MEMORY = "BGR888"  # libcamera names its formats in the order of a little-endian word
_BOARD = Path("/proc/device-tree/model")
_PI_5 = ("Raspberry Pi 5", "Compute Module 5", "Raspberry Pi 500")
_FRAME_S = 5.0  # longer than the longest exposure that people set
_CLOSE_S = 1.0


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
    small_format: Literal["auto", "yuv420", "rgb"] = Field(
        default="auto", description="What the model's picture comes as; auto: rgb on a Raspberry Pi 5, which "
        "alone can do it, else yuv420."
    )  # fmt: skip
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
        wanted = settings.small_format
        self._is_rgb = wanted == "rgb" or (wanted == "auto" and _is_pi_5())
        self._number = 0
        self._closed = self._failed = False
        self._lock = threading.Lock()
        try:
            self._camera: Any = Picamera2(settings.index)
        except (RuntimeError, IndexError, OSError) as error:
            raise CameraAway(
                f"Cannot open Raspberry Pi camera {settings.index}: {error}. Does rpicam-hello list it, and "
                "is no other program using it?"
            ) from error
        self._start()

    def read(self) -> Frame:
        """Wait for the next frame of both streams.

        After a failure the streams are started again; the camera is not opened again.
        """
        with self._lock:
            if self._closed:
                raise CameraError("The camera is closed.")
            pixels, small, metadata = self._capture()
        settings = self._settings
        if not self._is_rgb:
            small = yuv420_to_rgb(small, settings.small_width, settings.small_height)
        sensor_ns = metadata.get("SensorTimestamp")
        frame = Frame(
            pixels=pixels,
            captured_at=unix_time(None if sensor_ns is None else sensor_ns / 1e9, time.CLOCK_BOOTTIME),
            number=self._number,
            small=small,
        )
        self._number += 1
        return frame

    def expose(self, exposure_ms: float | None, gain: float | None) -> None:
        """Set exposure and gain of the running camera; what it does not take is logged."""
        # While libcamera's automatic is off, what is not set stays where it was.
        controls: dict[str, Any] = {"AeEnable": exposure_ms is None and gain is None}
        if exposure_ms is not None:
            controls["ExposureTime"] = round(exposure_ms * 1000)  # us
        if gain is not None:
            controls["AnalogueGain"] = gain
        try:
            self._camera.set_controls(controls)
        except (RuntimeError, ValueError) as error:
            logger.warning("Raspberry Pi camera %d does not take: %s", self._settings.index, error)

    def close(self) -> None:
        """Stop and close the camera; once, at the end of the process."""
        # Behind the frame that is just being read; one that never comes does not hold up the end.
        if not self._lock.acquire(timeout=_CLOSE_S):
            return
        try:
            if not self._closed:
                self._closed = True
                self._camera.stop()
                self._camera.close()
        finally:
            self._lock.release()

    def _start(self) -> None:
        settings = self._settings
        try:
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": (settings.width, settings.height), "format": _RGB_IN_MEMORY},
                    lores={
                        "size": (settings.small_width, settings.small_height),
                        "format": _RGB_IN_MEMORY if self._is_rgb else "YUV420",
                    },
                    controls={"FrameRate": settings.fps},
                    buffer_count=4,
                )
            )
            self._camera.start()
        except (RuntimeError, ValueError, OSError) as error:
            self._camera.close()
            raise CameraError(
                f"Raspberry Pi camera {settings.index} does not start: {error}. Try other sizes."
            ) from error

    def _capture(self) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        try:
            if self._failed:
                self._camera.stop()
                self._camera.start()
                self._failed = False
            request = self._camera.capture_request(wait=_FRAME_S)
        except (RuntimeError, OSError) as error:  # TimeoutError is an OSError
            self._failed = True
            raise CameraAway(
                f"Raspberry Pi camera {self._settings.index} gives no frames: "
                f"{str(error) or f'none came for {_FRAME_S:.0f} s'}. Is its cable seated at both ends?"
            ) from error
        try:
            return request.make_array("main"), request.make_array("lores"), request.get_metadata()
        finally:
            request.release()  # the camera has only a few buffers


def _is_pi_5() -> bool:
    try:
        board = _BOARD.read_text(errors="replace")
    except OSError:
        return False
    return any(name in board for name in _PI_5)
