"""The step that replaces layers by the product of smaller ones."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from slimcast.recipe.part import Part

_DEFAULT_ENERGY = 0.9
Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class FactorizeStep(Part):
    """Replace layers by factors of lower rank, wherever that saves multiply-accumulates."""

    kind: Literal["factorize"]
    method: str = Field(
        default="tucker",
        description="For convolutions with a window; linear layers and 1x1 convolutions take the SVD.",
    )
    energy: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of the squared weights that a layer keeps; it decides the ranks. 0.9 by default.",
    )
    rank: float | None = Field(
        default=None, gt=0, lt=1, description="Share of the full rank, in place of energy."
    )
    layers: tuple[Pattern, ...] = Field(
        default=(),
        description="Layer name patterns; none: all but the first convolution and the classifier.",
    )
    keep: tuple[Pattern, ...] = Field(
        default=(),
        title="Layers to keep",
        description="Layers whose name fits one of these stay as they are.",
    )
    round_to: int = Field(
        default=8, ge=1, le=64, description="Ranks become multiples of this where they can."
    )

    @model_validator(mode="after")
    def _one_measure_of_rank(self) -> "FactorizeStep":
        if self.energy is not None and self.rank is not None:
            raise ValueError("give either energy or rank: each of them decides the ranks")
        return self

    @property
    def energy_kept(self) -> float | None:
        """Return the energy that counts; None where `rank` does."""
        return None if self.rank is not None else self.energy or _DEFAULT_ENERGY
