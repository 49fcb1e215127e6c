"""What all methods of `quantize` have in common."""

from typing import Literal

from slimcast.recipe.part import Part


class QuantizeStep(Part):
    """What all methods have in common."""

    kind: Literal["quantize"]
    method: str

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return "int8"
