"""The step that finds out which layers can be pruned, and how far."""

from typing import Annotated, Literal

from pydantic import Field

from slimcast.recipe.part import Part

Share = Annotated[float, Field(gt=0, lt=1)]


class SensitivityStep(Part):
    """Prune each group of layers by itself at several ratios, and note the accuracy; the network stays."""

    kind: Literal["sensitivity"]
    criterion: str = "l2"
    ratios: tuple[Share, ...] = Field(
        default=(0.1, 0.3, 0.5, 0.7, 0.9),
        min_length=1,
        max_length=50,
        description="Shares of a group's channels to remove.",
    )
    images: int = Field(
        default=1000, ge=10, le=1_000_000, description="Images to measure each accuracy on, at most."
    )
    criterion_images: int = Field(
        default=256, ge=1, le=100_000, description="Training images for criteria that need gradients or maps."
    )
    keep: tuple[str, ...] = Field(default=(), description="Name patterns of layers to leave as they are.")
