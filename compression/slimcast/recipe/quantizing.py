"""Steps that bring a network to few bits."""

from typing import Literal

from pydantic import Field

from slimcast.recipe.part import Part


class QuantizeStep(Part):
    """Store and compute in integers."""

    kind: Literal["quantize"]
    method: str = "static"
    weights: Literal["int8"] = "int8"
    activations: Literal["int8", "uint8"] = Field(
        default="uint8",
        description="uint8 has integer kernels everywhere; with int8 ONNX Runtime leaves residual layers "
        "of x86-64 in float.",
    )
    calibration_samples: int = Field(default=256, ge=8, le=100_000)
