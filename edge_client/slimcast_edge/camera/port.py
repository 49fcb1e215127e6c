"""What a camera can do."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from slimcast_edge.artifact import InputSpec
from slimcast_edge.region import Region
from slimcast_edge.wire import CameraView


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture.

    Attributes:
        pixels: uint8 (H, W, 3), RGB.
        captured_at: Unix time of the exposure, s.
        number: counts from 0 since the camera was opened, without gaps.
        expected: the right label where the camera knows it.
        small: the same picture, shrunk for the model by the camera itself; None: there is only `pixels`. A
            model that needs more detail takes `pixels`.
        camera: which camera of the device it comes from; empty for the only one.

    """

    pixels: np.ndarray
    captured_at: float
    number: int
    expected: str | None = None
    small: np.ndarray | None = None
    camera: str = ""


class Camera(Protocol):
    """An open camera. Constructed with its settings; raises `CameraError` when it cannot be opened.

    Attributes:
        waits: whether the source waits for the model, so that no frame is ever lost. No real camera does.

    """

    waits: bool

    def read(self) -> Frame:
        """Wait for the next frame.

        Raises:
            CameraError: there is none. Either it can be read again later, or it must be opened again first:
                its entry in the catalog says which.

        """

    def close(self) -> None:
        """Let go of the device; a `read` that waits in another thread returns or raises soon."""


@runtime_checkable
class Exposing(Protocol):
    """A camera whose exposure can be set while it runs."""

    def expose(self, exposure_ms: float | None, gain: float | None) -> None:
        """Expose for so long, with such an amplification; both None: the camera decides."""


@runtime_checkable
class Suiting(Protocol):
    """A camera that can shrink its pictures itself to what a model needs."""

    def suit(self, spec: InputSpec, view: CameraView) -> None:
        """Give `Frame.small` in the size that such an input needs, seen in this way; between two frames.

        Raises:
            CameraError: it gives no frames any more.

        """


class CameraSettings(BaseModel):
    """Base of the settings of every kind of camera. The studio can order another view, see `CameraView`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation: Literal[0, 90, 180, 270] = Field(default=0, description="Turn the picture clockwise, degrees.")
    mirror: bool = Field(default=False, description="Swap left and right, after the rotation.")
    region: Region | None = Field(
        default=None,
        description="Show only a part of the turned picture: [left, top, right, bottom], each 0.0 to 1.0.",
    )
    exposure_ms: float | None = Field(
        default=None, gt=0, le=10_000, description="Time of exposure, ms; none: automatic."
    )
    gain: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Amplification: a factor (Raspberry Pi camera), or the driver's own number (webcam).",
    )

    @property
    def view(self) -> CameraView:
        """How the camera looks as long as the studio orders nothing else."""
        return CameraView(
            rotation=self.rotation,
            mirror=self.mirror,
            region=self.region,
            exposure_ms=self.exposure_ms,
            gain=self.gain,
        )
