"""A simulated camera: real labelled images on camera-sized frames, so that the right answer is known."""

import time
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from slimcast_edge.camera.images import find_images, label_of, read_image
from slimcast_edge.camera.pace import Pace
from slimcast_edge.camera.paper import draw_on_paper
from slimcast_edge.camera.port import CameraSettings, Frame
from slimcast_edge.errors import CameraError

_BACKGROUND = 40
_BAR = 220


class SyntheticSettings(CameraSettings):
    """Settings of the simulated camera."""

    source: Path = Field(
        description="A folder of images named `LABEL_n.png`, or an .npz file with `images` (uint8, N x H x W "
        "or N x H x W x C) and `labels` (N texts or numbers)."
    )
    width: int = Field(default=640, ge=16, le=4096, description="Width of a frame, pixels.")
    height: int = Field(default=480, ge=16, le=4096, description="Height of a frame, pixels.")
    fps: float = Field(
        default=30.0, ge=0, le=1000, description="Frames a second; 0: as fast as the model takes them."
    )
    wait: bool = Field(default=False, description="Wait for a slower model instead of dropping frames.")
    hold: int = Field(default=15, ge=1, le=100_000, description="Frames for which each image stays.")
    scene: Literal["image", "paper"] = Field(
        default="image",
        description="`image` fills the frame's middle with it; `paper` draws it, light on dark, as ink on "
        "an unevenly lit sheet.",
    )


class SyntheticCamera:
    """Draws each image over the centred square that a centre crop cuts out, and a bar that moves beside it.

    Images are enlarged without smoothing, so that averaging down gives the original pixels back. On paper
    (`scene`) they are what a person would hold before a camera, and there is no bar.
    """

    def __init__(self, settings: SyntheticSettings) -> None:
        self._settings = settings
        self._images = _load(settings.source.expanduser())
        self._pace = Pace(settings.fps)
        self.waits = settings.wait or settings.fps == 0
        self._number = 0
        self._scene = self._draw(0)

    def read(self) -> Frame:
        """Return the next frame."""
        if not self._pace.wait():
            raise CameraError("The camera is closed.")
        index = self._number // self._settings.hold % len(self._images)
        if self._number % self._settings.hold == 0:
            self._scene = self._draw(index)
        frame = Frame(
            pixels=self._with_bar(),
            captured_at=time.time(),
            number=self._number,
            expected=self._images[index][1],
        )
        self._number += 1
        return frame

    def close(self) -> None:
        """Stop."""
        self._pace.stop()

    def _draw(self, index: int) -> np.ndarray:
        width, height = self._settings.width, self._settings.height
        if self._settings.scene == "paper":
            return draw_on_paper(self._images[index][0], width, height, seed=self._number)
        side = min(width, height)
        picture = Image.fromarray(self._images[index][0]).resize((side, side), Image.Resampling.NEAREST)
        scene = np.full((height, width, 3), _BACKGROUND, np.uint8)
        top, left = (height - side) // 2, (width - side) // 2
        scene[top : top + side, left : left + side] = np.asarray(picture)
        return scene

    def _with_bar(self) -> np.ndarray:
        """Return the scene with the moving bar, so that a viewer sees that the picture is live."""
        pixels = self._scene.copy()
        height, width = pixels.shape[:2]
        margin = (width - min(width, height)) // 2
        if margin >= 8 and self._settings.scene == "image":
            at = self._number * 4 % height
            pixels[at : at + 16, margin // 4 : margin // 2] = _BAR
        return pixels


def _load(source: Path) -> list[tuple[np.ndarray, str | None]]:
    """Return (pixels uint8 (H, W, 3), label) of every image."""
    if source.suffix == ".npz":
        return _load_npz(source)
    return [(read_image(path), label_of(path, source)) for path in find_images(source)]


def _load_npz(path: Path) -> list[tuple[np.ndarray, str | None]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except FileNotFoundError as error:
        raise CameraError(
            f"There is no file {path}. `slimcast samples digits --out FILE` writes one."
        ) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CameraError(f"{path} must be an .npz file with 'images' and 'labels': {error}") from error
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not len(images) or len(images) != len(labels):
        raise CameraError(
            f"{path} must have as many labels as images, and images of uint8 (N, H, W) or (N, H, W, C); "
            f"it has {len(labels)} labels and images of {images.dtype} {images.shape}."
        )
    colour = images[..., None] if images.ndim == 3 else images
    if colour.shape[-1] not in (1, 3):
        raise CameraError(f"The images in {path} must have 1 or 3 channels, not {colour.shape[-1]}.")
    colour = np.broadcast_to(colour, (*colour.shape[:3], 3))
    return [(np.ascontiguousarray(pixels), str(label)) for pixels, label in zip(colour, labels, strict=True)]
