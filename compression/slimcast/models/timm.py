"""Any network of timm (github.com/huggingface/pytorch-image-models), which is an optional library."""

from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from slimcast.catalog.open_networks import TIMM_MISSING
from slimcast.errors import ModelError


def build(
    name: str, *, classes: int, channels: int, image_size: int, cache_folder: Path | None = None
) -> nn.Module:
    """Build timm's network `name`, with random weights or, if `cache_folder` is given, with timm's own.

    Raises:
        ModelError: timm is not installed, or cannot build it for such images.
    """
    create = creator()
    arguments: dict[str, Any] = {
        "pretrained": cache_folder is not None,
        "cache_dir": cache_folder,
        "num_classes": classes,
        "in_chans": channels,
        "exportable": True,
    }
    try:
        try:
            # Those with tokens for places in the image have to know its size; others know no such argument.
            return create(name, img_size=image_size, **arguments)
        except TypeError:
            return create(name, **arguments)
    except Exception as error:  # timm raises whatever its parts raise
        raise ModelError(
            f"timm cannot build {name!r} for {channels} x {image_size} x {image_size} pixels: {error}"
        ) from error


def creator() -> Any:
    """Return timm's `create_model`.

    Raises:
        ModelError: timm is not installed.
    """
    try:
        from timm import create_model
    except ImportError as error:
        raise ModelError(TIMM_MISSING) from error
    return create_model


def builder(name: str) -> Any:
    """Return the function that builds timm's network `name`, with the arguments of a catalog entry."""
    return partial(build, name)
