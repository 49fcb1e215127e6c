"""What all methods of `quantize` have in common."""

from typing import Literal

from pydantic import Field

from slimcast.recipe.part import Part
from slimcast.recipe.training import Trained


class QuantizeStep(Part):
    """What all methods have in common."""

    kind: Literal["quantize"]
    method: str

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return "int8"


class RetrainedQuantize(Trained, QuantizeStep):
    """What methods have in common that train the network on, gently, with its roundings."""

    learning_rate: float | None = Field(
        default=None, gt=0, description="Peak; without a value, a tenth of the network's own default."
    )
    keep: tuple[str, ...] = Field(default=(), description="Name patterns of layers that stay in float.")
