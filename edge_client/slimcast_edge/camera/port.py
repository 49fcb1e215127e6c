"""What a camera can do."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture.

    Attributes:
        pixels: uint8 (H, W, 3), RGB.
        captured_at: Unix time of the exposure, s.
        number: counts from 0 since the camera was opened, without gaps.
        expected: the right label where the camera knows it.
        small: the same picture, shrunk for the model by the camera itself; None: there is only `pixels`.

    """

    pixels: np.ndarray
    captured_at: float
    number: int
    expected: str | None = None
    small: np.ndarray | None = None


class Camera(Protocol):
    """An open camera. Constructed with its settings; raises `CameraError` when it cannot be opened.

    Attributes:
        waits: whether the source waits for the model, so that no frame is ever lost. No real camera does.

    """

    waits: bool

    def read(self) -> Frame:
        """Wait for the next frame.

        Raises:
            CameraError: there is none, and there will be none.

        """

    def close(self) -> None:
        """Let go of the device; a `read` that waits in another thread returns or raises soon."""


class CameraSettings(BaseModel):
    """Base of the settings of every kind of camera."""

    model_config = ConfigDict(frozen=True, extra="forbid")
