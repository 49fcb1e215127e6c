"""Steps that bring a network to few bits: one class for each method, all of the kind `quantize`."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from slimcast.recipe.lowbit import BinaryQuantize, DorefaQuantize, PactQuantize, WrpnQuantize
from slimcast.recipe.quantize_step import QuantizeStep, RetrainedQuantize
from slimcast.recipe.quanto import MixedQuantize, QuantoQuantize, WeightOnlyQuantize
from slimcast.recipe.training import Distillation

DEFAULT_METHOD = "static"


class StaticQuantize(QuantizeStep):
    """Store and compute in 8-bit integers, with ranges found on training images."""

    method: Literal["static"] = "static"
    weights: Literal["int8"] = "int8"
    activations: Literal["int8", "uint8"] = Field(
        default="uint8",
        description="uint8 has integer kernels everywhere; with int8 ONNX Runtime leaves residual layers "
        "of x86-64 in float.",
    )
    calibration_samples: int = Field(default=256, ge=8, le=100_000)
    calibration: Literal["auto", "minmax", "percentile", "entropy"] = Field(
        default="auto", description="How ranges of activations are found; auto tries all and keeps the best."
    )
    per_channel: bool | None = Field(
        default=None, description="Ranges of weights for each output channel; without a value both are tried."
    )
    keep: tuple[str, ...] = Field(default=(), description="Name patterns of layers that stay in float.")
    equalize: bool = Field(default=False, description="Even out neighbouring layers' weights first.")
    correct_bias: bool = Field(
        default=False, description="Take the mean error of rounded weights out of the biases."
    )
    max_loss: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Accuracy that may be lost, as a fraction: one fix after the other is tried.",
    )


class QatQuantize(RetrainedQuantize):
    """Train in front of the roundings of int8, with ranges that are learnt; ends as `static` does."""

    method: Literal["qat"]
    weights: Literal["int8"] = "int8"
    activations: Literal["int8", "uint8"] = Field(
        default="uint8", description="As of `static`: uint8 has integer kernels everywhere."
    )
    calibration_samples: int = Field(
        default=256, ge=8, le=100_000, description="Training images for the ranges to begin with."
    )
    learn_statistics: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of the training in which batch norms learn statistics; then they keep them.",
    )
    learn_ranges: float = Field(
        default=0.67,
        ge=0,
        le=1,
        description="Share of the training in which ranges of activations are learnt; then they keep them.",
    )
    distill: Distillation | None = Field(
        default=Distillation(), description="Learn from a float network as well: logits only."
    )

    @field_validator("distill")
    @classmethod
    def _learns_logits(cls, distill: Distillation | None) -> Distillation | None:
        if distill is not None and distill.features:
            raise ValueError("features cannot be matched with rounded ones; leave distill.features out")
        return distill

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return "int8-qat"


class DynamicQuantize(QuantizeStep):
    """Store linear layers in 8-bit integers, and find the ranges of their inputs anew for each image."""

    method: Literal["dynamic"]


class Float16Quantize(QuantizeStep):
    """Store and compute in half precision."""

    method: Literal["float16"]
    keep: tuple[str, ...] = Field(
        default=(), description="Name patterns of layers that stay in float32, as in `prune`."
    )

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return "float16"


def method_of(step: Any) -> str:
    """Return the method of a step, as it stands in a document or as an object."""
    method = step.get("method", DEFAULT_METHOD) if isinstance(step, dict) else getattr(step, "method", "")
    return str(method)


AnyQuantizeStep = Annotated[
    Annotated[StaticQuantize, Tag("static")]
    | Annotated[QatQuantize, Tag("qat")]
    | Annotated[DynamicQuantize, Tag("dynamic")]
    | Annotated[Float16Quantize, Tag("float16")]
    | Annotated[BinaryQuantize, Tag("binary")]
    | Annotated[DorefaQuantize, Tag("dorefa")]
    | Annotated[PactQuantize, Tag("pact")]
    | Annotated[WrpnQuantize, Tag("wrpn")]
    | Annotated[WeightOnlyQuantize, Tag("weight_only")]
    | Annotated[QuantoQuantize, Tag("quanto")]
    | Annotated[MixedQuantize, Tag("mixed")],
    Discriminator(method_of),
]
"""Any of them, told apart by `method`."""
