"""Which network, and which data."""

from pydantic import Field

from slimcast.recipe.part import Part


class ModelSpec(Part):
    """Which network. `weights`: ``none`` (random) or the path of a safetensors file."""

    name: str
    weights: str = "none"


class DataSpec(Part):
    """Which data. `image_size` in pixels (square); None: the data's own, or the network's minimum."""

    name: str
    image_size: int | None = Field(default=None, ge=8, le=512)
    train_samples: int | None = Field(default=None, ge=1, title="Training samples", description="None: all.")
    test_samples: int | None = Field(default=None, ge=1, title="Test samples", description="None: all.")
