"""Which network, and which data."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from slimcast.recipe.part import Part
from slimcast_edge.artifact import FrameSpec, Resize


def _amount(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value is None or whole or (isinstance(value, float) and 0 < value < 1):
        return value
    raise PydanticCustomError(
        "amount",
        "must be a count (a whole number of at least 1) or a share (between 0 and 1), but is {given}",
        {"given": repr(value)},
    )


Amount = Annotated[int | float, BeforeValidator(_amount)]
"""A count of images (a whole number) or a share of them (a number between 0 and 1)."""

_LEVEL = Annotated[float, Field(ge=0, le=1)]
_SPREAD = Annotated[float, Field(gt=0, le=10)]


PICKLES = (".pth", ".pt", ".th", ".bin", ".ckpt", ".pkl", ".pickle", ".tar")
"""Endings of files in PyTorch's own format, which can hold code and is never read."""


def _weights(value: Any) -> Any:
    if isinstance(value, str) and value.lower().endswith(PICKLES):
        raise ValueError(
            f"{value!r} is a file of PyTorch's own kind, which can hold code; convert it to safetensors"
        )
    if value in {"", "run:"}:
        raise ValueError("must be none, imagenet, run:ID, or the path of a safetensors file")
    return value


class ModelSpec(Part):
    """Which network, and what it begins with."""

    name: str = Field(
        min_length=1,
        max_length=200,
        title="Network",
        description="Of the catalog, timm:NAME, or package.module:function for one's own.",
    )
    weights: Annotated[str, BeforeValidator(_weights)] = Field(
        default="none",
        max_length=1000,
        title="Weights",
        description="none (random), imagenet, run:ID (what another run has made of the same network), or a "
        "safetensors file: a path, relative ones in the working directory or below the weights root.",
    )
    freeze_backbone: bool = Field(
        default=False,
        title="Train only the head",
        description="Steps of kind train change nothing but the last layer; finetune changes everything.",
    )


class Frames(FrameSpec):
    """What a camera does to its frames. Given, it takes the place of all that the data set's entry says."""

    model_config = ConfigDict(extra="forbid")


class DataSpec(Part):
    """Which data. `image_size` in pixels (square); None: the data's own, or the network's minimum."""

    name: str
    path: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        title="Folder",
        description="Where a set without a place of its own is: a path, relative ones below the data root.",
    )
    image_size: int | None = Field(default=None, ge=8, le=512)
    channels: Literal[1, 3] | None = Field(
        default=None, title="Channels", description="1 grey, 3 RGB; None: the data's own."
    )
    train_samples: Amount | None = Field(
        default=None,
        title="Training images",
        description="A count, or a share between 0 and 1; None: all. Classes stay in proportion.",
    )
    test_samples: Amount | None = Field(
        default=None,
        title="Test images",
        description="A count, or a share between 0 and 1; None: all. Classes stay in proportion.",
    )
    validation: Amount | None = Field(
        default=None,
        title="Validation images",
        description="Held back from the training images for choices, such as when to stop: a count, or a "
        "share between 0 and 1.",
    )
    resize: Resize = Field(
        default="center_crop",
        title="Images of other proportions",
        description="center_crop takes the middle, letterbox adds black bars, stretch distorts; the camera "
        "does the same.",
    )
    frames: Frames | None = Field(
        default=None,
        title="Frames of a camera",
        description="How they are made to look like the training images; None: as the data's entry says.",
    )
    flips: bool | None = Field(
        default=None,
        title="Mirrored images are right",
        description="Whether training may mirror images; None: as the data's entry says.",
    )
    mean: tuple[_LEVEL, ...] | None = Field(
        default=None,
        title="Mean",
        description="Of each channel, pixels taken as 0 to 1: what given weights were trained with. "
        "None: measured on the training images.",
    )
    std: tuple[_SPREAD, ...] | None = Field(
        default=None, title="Standard deviation", description="Of each channel, as `mean`."
    )
