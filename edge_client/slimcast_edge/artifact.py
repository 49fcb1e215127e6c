"""What an artifact says of itself: the JSON under ``metadata_props["slimcast"]`` of its ONNX file.

Input ``image``: uint8, (N, H, W, C), already resized. Output ``logits``: float32, (N, K), K = len(labels).
"""

import base64
import io
from enum import StrEnum
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.region import Region

METADATA_KEY = "slimcast"
INPUT_NAME = "image"
OUTPUT_NAME = "logits"
MAX_GOLDEN_SAMPLES = 16
_NO_PICTURE = (ValueError, OSError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for bytes that are no picture; SyntaxError for a chunk that is none."""


class NumericKind(StrEnum):
    """How the numbers of an artifact are stored and computed; decides the session options of the runtime."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
    WEIGHT_ONLY = "weight_only"
    BINARY = "binary"


class _Part(BaseModel):
    # A newer studio may say more than this client knows; what it knows must still be right.
    model_config = ConfigDict(frozen=True, extra="ignore")


class FrameSpec(_Part):
    """What is done to a camera's frame, beyond its size, so that it looks as the training images do.

    It never touches an image that already is an input: one of the input's own size, or (with `invert` auto or
    `subject` ink) one that is light on black already. So training and measuring, which know no frames, and
    a simulated camera that shows test images see exactly these.

    Attributes:
        region: part of the frame that counts, (left, top, right, bottom) in shares of its sides.
        invert: ``auto`` makes dark on light into light on dark, and leaves light on dark.
        contrast: ``stretch`` spreads brightness over the whole range.
        subject: ``ink`` looks for writing on paper or a board, and takes nothing else (see `ink`).
        fill: share of the input that the writing's longer side takes. centre: what of it lies in the middle.
        detail: side to which a frame is brought first, pixels: that of training images which were enlarged.

    """

    region: Region | None = None
    invert: Literal["never", "always", "auto"] = "never"
    contrast: Literal["keep", "stretch"] = "keep"
    subject: Literal["all", "ink"] = "all"
    fill: float = Field(default=1.0, ge=0.1, le=1.5)
    centre: Literal["mass", "box"] = "box"
    detail: int | None = Field(default=None, ge=4, le=4096)


Resize = Literal["center_crop", "letterbox", "stretch"]
"""The largest centred part of the right proportions; the whole with black bars; or the whole, distorted."""


class InputSpec(_Part):
    """Size of the input in pixels, its channels (1 grey, 3 RGB) and how a frame becomes one."""

    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    channels: Literal[1, 3]
    resize: Resize = "center_crop"
    frame: FrameSpec = FrameSpec()


class GoldenSample(_Part):
    """A real input (PNG, base64) and the logits that the studio's runtime gave for it."""

    image: str = Field(max_length=4_000_000)
    logits: list[float] = Field(min_length=1, max_length=100_000)

    def pixels(self) -> np.ndarray:
        """Return the image as uint8, (H, W, C).

        Raises:
            ArtifactError: the image cannot be decoded.

        """
        try:
            picture = Image.open(io.BytesIO(base64.b64decode(self.image, validate=True)), formats=["PNG"])
            pixels = np.asarray(picture)
        except _NO_PICTURE as error:
            raise ArtifactError(
                Refusal.NOT_AN_ARTIFACT, f"A golden sample is no PNG image: {error}"
            ) from error
        return pixels[..., None] if pixels.ndim == 2 else pixels

    @classmethod
    def from_pixels(cls, pixels: np.ndarray, logits: np.ndarray) -> "GoldenSample":
        """Pack an image, uint8 (H, W, C), with its logits, (K,)."""
        buffer = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
            buffer, "PNG", optimize=True
        )
        image = base64.b64encode(buffer.getvalue()).decode()
        # Seven digits keep a float32 apart from its neighbours; more would only be noise in the file.
        return cls(image=image, logits=[float(f"{value:.7g}") for value in logits])


class Golden(_Part):
    """Golden samples, and the largest difference of a logit that still counts as the same answer."""

    samples: list[GoldenSample] = Field(default=[], max_length=MAX_GOLDEN_SAMPLES)
    tolerance: float = Field(default=0.0, ge=0.0)


class ArtifactInfo(_Part):
    """Everything that a camera must know of a model, and what a person wants to read of it.

    Attributes:
        measurements: figures that do not depend on a machine (accuracy, params, macs), by name. Latencies are
            kept out, so that the same recipe gives the same bytes.

    """

    format: Literal[1] = 1
    name: str = Field(min_length=1, max_length=200)
    task: Literal["classification"] = "classification"
    labels: list[Annotated[str, Field(max_length=200)]] = Field(min_length=1, max_length=100_000)
    input: InputSpec
    numeric_kind: NumericKind
    opset: int = Field(ge=1)
    recipe_hash: str = Field(max_length=64)
    measurements: dict[str, float] = {}
    golden: Golden = Golden()

    def to_json(self) -> str:
        """Return the JSON that goes into the file."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> "ArtifactInfo":
        """Parse the JSON of a file.

        Raises:
            ArtifactError: it is not what an artifact of format 1 must say.

        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = f"The artifact's description is invalid at {where or 'its root'}: {first['msg']}"
            raise ArtifactError(Refusal.NOT_AN_ARTIFACT, message) from error
