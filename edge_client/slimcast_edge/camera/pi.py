"""A Raspberry Pi camera module, through Picamera2.

Opened once and never again: opening and closing leaks in libcamera and fails after some rounds. The model
looks at the small `lores` stream that the Pi's image processor scales for nothing, to the size that the model
needs; people look at `main`.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from slimcast_edge.artifact import InputSpec
from slimcast_edge.camera.clock import unix_time
from slimcast_edge.camera.port import CameraSettings, Frame
from slimcast_edge.camera.yuv import yuv420_to_rgb
from slimcast_edge.errors import CameraAway, CameraError
from slimcast_edge.input_detail import needed_size
from slimcast_edge.wire import CameraView

logger = logging.getLogger(__name__)

_RGB_IN_MEMORY = "BGR888"  # libcamera names its formats in the order of a little-endian word
_BOARD = Path("/proc/device-tree/model")
_PI_5 = ("Raspberry Pi 5", "Compute Module 5", "Raspberry Pi 500")
_FRAME_S = 5.0  # longer than the longest exposure that people set
_CLOSE_S = 1.0
_FIRST_SMALL = (320, 240)  # until there is a model


class PiCameraSettings(CameraSettings):
    """Settings of the Raspberry Pi camera."""

    index: int = Field(default=0, ge=0, le=8, description="Which camera, where there are several.")
    width: int = Field(default=640, ge=64, le=4608, multiple_of=2, description="Width of the stream, pixels.")
    height: int = Field(
        default=480, ge=64, le=4608, multiple_of=2, description="Height of the stream, pixels."
    )
    small_width: int | None = Field(
        default=None,
        ge=32,
        le=1920,
        multiple_of=2,
        description="Width of the model's picture, pixels; none: what the model needs.",
    )
    small_height: int | None = Field(
        default=None,
        ge=32,
        le=1920,
        multiple_of=2,
        description="Height of the model's picture, pixels; only with `small_width`.",
    )
    small_format: Literal["auto", "yuv420", "rgb"] = Field(
        default="auto", description="What the model's picture comes as; auto: rgb on a Raspberry Pi 5, which "
        "alone can do it, else yuv420."
    )  # fmt: skip
    fps: float = Field(default=30.0, gt=0, le=240, description="Frames a second.")

    @model_validator(mode="after")
    def _small_is_small(self) -> "PiCameraSettings":
        if (self.small_width is None) != (self.small_height is None):
            raise ValueError("give both `small_width` and `small_height`, or neither")
        if (self.small_width or 0) > self.width or (self.small_height or 0) > self.height:
            raise ValueError("the picture for the model cannot be larger than the stream")
        return self

    @property
    def small_size(self) -> tuple[int, int] | None:
        """Width and height of the model's picture where they are fixed."""
        if self.small_width is None or self.small_height is None:
            return None
        return self.small_width, self.small_height


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
        first = tuple(map(min, _FIRST_SMALL, (settings.width, settings.height)))
        self._small_size: tuple[int, int] = settings.small_size or (first[0], first[1])
        self._given_size = self._small_size
        self._number = 0
        self._closed = self._failed = False
        self._exposure: dict[str, Any] = {}
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
        if not self._is_rgb:
            small = yuv420_to_rgb(small, *self._given_size)
        sensor_ns = metadata.get("SensorTimestamp")
        frame = Frame(
            pixels=pixels,
            captured_at=unix_time(None if sensor_ns is None else sensor_ns / 1e9, time.CLOCK_BOOTTIME),
            number=self._number,
            small=small,
        )
        self._number += 1
        return frame

    def suit(self, spec: InputSpec, view: CameraView) -> None:
        """Have the small stream in the size that a model needs; frames pause for a moment where it changes.

        A size that libcamera refuses is logged, and the one before stays.

        Raises:
            CameraAway: the streams do not start again.

        """
        settings, before = self._settings, self._small_size
        size = settings.small_size or needed_size(spec, view, settings.width, settings.height)
        with self._lock:
            if self._closed or size == before:
                return
            try:
                self._camera.stop()
                self._start_streams(size)
            except (RuntimeError, ValueError, OSError) as error:
                logger.warning(
                    "Raspberry Pi camera %d cannot give the model %d x %d pixels: %s",
                    settings.index,
                    *size,
                    error,
                )
                self._go_back_to(before)
            else:
                logger.info("Raspberry Pi camera %d gives the model %d x %d pixels.", settings.index, *size)

    def expose(self, exposure_ms: float | None, gain: float | None) -> None:
        """Set exposure and gain of the running camera; what it does not take is logged."""
        # While libcamera's automatic is off, what is not set stays where it was.
        controls: dict[str, Any] = {"AeEnable": exposure_ms is None and gain is None}
        if exposure_ms is not None:
            controls["ExposureTime"] = round(exposure_ms * 1000)  # us
        if gain is not None:
            controls["AnalogueGain"] = gain
        self._exposure = controls
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
        try:
            self._start_streams(self._small_size)
        except (RuntimeError, ValueError, OSError) as error:
            self._camera.close()
            raise CameraError(
                f"Raspberry Pi camera {self._settings.index} does not start: {error}. Try other sizes."
            ) from error

    def _start_streams(self, small_size: tuple[int, int]) -> None:
        settings = self._settings
        streams = {
            "main": {"size": (settings.width, settings.height), "format": _RGB_IN_MEMORY},
            "lores": {"size": small_size, "format": _RGB_IN_MEMORY if self._is_rgb else "YUV420"},
        }
        self._camera.configure(
            self._camera.create_video_configuration(
                **streams,
                controls={"FrameRate": settings.fps, **self._exposure},  # they end with a configuration
                buffer_count=4,
            )
        )
        # libcamera takes what it can do for what was asked, and says so only here.
        given = self._camera.camera_configuration()
        for name, wanted in streams.items():
            if given[name]["format"] != wanted["format"]:
                raise RuntimeError(f"its pictures come as {given[name]['format']}, not {wanted['format']}")
        self._camera.start()
        self._small_size, self._given_size = small_size, tuple(given["lores"]["size"])

    def _go_back_to(self, small_size: tuple[int, int]) -> None:
        try:
            self._start_streams(small_size)
        except (RuntimeError, ValueError, OSError) as error:
            self._failed = True  # the next frame starts them once more
            raise CameraAway(
                f"Raspberry Pi camera {self._settings.index} does not start again: {error}"
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
