"""Weights of few bits by optimum-quanto, with activations in float or rounded too."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from slimcast.recipe.quantize_step import RetrainedQuantize
from slimcast.recipe.target import Target
from slimcast.recipe.training import Distillation


class RoundedQuantize(RetrainedQuantize):
    """What methods have in common that round weights and may train with their rounding."""

    epochs: float = Field(default=0, ge=0, le=1000, description="Training with rounded weights; 0: none.")
    distill: Distillation | None = None


class WeightOnlyQuantize(RoundedQuantize):
    """Store weights in few bits and compute in float: smaller only."""

    method: Literal["weight_only"]
    weights: Literal["int8", "int4", "int2", "float8", "float8_e5m2"] = Field(
        default="int4", description="float8 is E4M3: four bits of exponent, three of mantissa."
    )
    ends: Literal["auto", "int8", "float", "same"] = Field(
        default="auto",
        description="First and last layer; auto: int8 where the others have fewer bits, else the same.",
    )

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


class MixedTarget(Target):
    """What a mixture of widths has to keep to."""

    measures: ClassVar[tuple[str, ...]] = ("bytes", "max_loss")

    bytes: float | None = Field(
        default=None,
        gt=0,
        description="The artifact file; below 1 the share of its bytes with all layers at the widest.",
    )
    max_loss: float | None = Field(
        default=None, gt=0, lt=1, description="Accuracy that may be lost before any training, as a fraction."
    )


class MixedQuantize(RoundedQuantize):
    """Give each layer the fewest bits that it bears, within a budget of bytes or of accuracy."""

    method: Literal["mixed"]
    target: MixedTarget = MixedTarget(max_loss=0.005)
    widths: tuple[Literal["float", "int8", "int4", "int2"], ...] = Field(
        default=("int8", "int4", "int2"), min_length=2, description="Among which each layer gets one."
    )
    activations: Literal["int8", "float"] = Field(
        default="int8", description="int8 runs in integer kernels; with float the file is smaller only."
    )
    images: int = Field(
        default=512, ge=16, le=100_000, description="On so many images each layer is tried at each width."
    )
    calibration_samples: int = Field(
        default=256, ge=8, le=100_000, description="Training images for the ranges of activations."
    )

    @field_validator("widths")
    @classmethod
    def _differ(cls, widths: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(widths)) != len(widths):
            raise ValueError("names a width twice")
        return widths

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return "mixed"
