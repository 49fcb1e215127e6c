"""Weights for the Compress page: those that were uploaded, and adding some."""

from typing import IO

from slimcast.catalog import MODELS
from slimcast.catalog.open_networks import TIMM
from slimcast.models.upload import UploadedWeights, add_weights, uploaded_weights
from slimcast_web.services.studio import Studio

NONE, IMAGENET = "none", "imagenet"


def choices(studio: Studio, model: str) -> list[str]:
    """Return what a network of the catalog can begin with, as a recipe says it."""
    offered = [NONE]
    if model.startswith(TIMM) or (model in MODELS and MODELS[model].imagenet):
        offered.append(IMAGENET)
    return offered + uploaded_weights(studio.settings.weights_root)


def upload(studio: Studio, file: IO[bytes], name: str, *, replace: bool) -> UploadedWeights:
    """Keep an uploaded safetensors file.

    Raises:
        ModelError: the name cannot be used or is taken, or the file is no sound one.

    """
    return add_weights(file, name, root=studio.settings.weights_root, replace=replace)
