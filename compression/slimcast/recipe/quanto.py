"""Weights of few bits by optimum-quanto, with activations in float or rounded too."""

from typing import Literal

from pydantic import Field

from slimcast.recipe.quantize_step import QuantizeStep
from slimcast.recipe.training import Distillation


class WeightOnlyQuantize(QuantizeStep):
    """Store weights in few bits and compute in float: smaller only."""

    method: Literal["weight_only"]
    weights: Literal["int8", "int4", "int2", "float8", "float8_e5m2"] = Field(
        default="int4", description="float8 is E4M3: four bits of exponent, three of mantissa."
    )
    keep: tuple[str, ...] = Field(default=(), description="Name patterns of layers that stay in float.")
    ends: Literal["auto", "int8", "float", "same"] = Field(
        default="auto",
        description="First and last layer; auto: int8 where the others have fewer bits, else the same.",
    )
    epochs: float = Field(default=0, ge=0, le=1000, description="Training with rounded weights; 0: none.")
    batch_size: int = Field(default=128, ge=1, le=65536)
    learning_rate: float | None = Field(
        default=None, gt=0, description="Peak; without a value, a tenth of the network's own default."
    )
    optimizer: Literal["sgd", "adamw"] = "adamw"
    distill: Distillation | None = None

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return self.weights


class QuantoQuantize(WeightOnlyQuantize):
    """Store weights in few bits and round activations, too: in integer kernels where there are any."""

    method: Literal["quanto"]  # type: ignore[assignment]
    weights: Literal["int8", "int4", "int2", "float8", "float8_e5m2"] = Field(
        default="int8", description="With int8 activations, int8, int4 and int2 run in integer kernels."
    )
    activations: Literal["int8", "float8"] = Field(
        default="int8", description="For float8 no kernel is known: it shows what such numbers would cost."
    )
    calibration_samples: int = Field(
        default=256, ge=8, le=100_000, description="Training images for the ranges of activations."
    )

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return f"{self.weights}-{self.activations}"
