"""Methods of `quantize` that train with weights of few bits."""

from typing import Literal

from pydantic import Field

from slimcast.recipe.quantize_step import QuantizeStep
from slimcast.recipe.training import Distillation, Trained, WeightDecay

Width = Literal["int8", "int4", "int2"]
_BITS = {"int8": 8, "int4": 4, "int2": 2}


class LowBitQuantize(Trained, QuantizeStep):
    """Train with few bits between the first and the last layer, which get eight."""

    keep: tuple[str, ...] = Field(
        default=(), description="Name patterns of layers that get eight bits, too; as in `prune`."
    )
    calibration_samples: int = Field(
        default=256, ge=8, le=100_000, description="Training images for the ranges of activations."
    )
    epochs: float = Field(default=10, gt=0, le=1000)
    weight_decay: WeightDecay = None
    distill: Distillation | None = Field(default=None, description="Learn from a float network as well.")

    @property
    def weight_bits(self) -> int:
        """Return how many bits a weight between the first and the last layer has."""
        return 1

    @property
    def input_bits(self) -> int:
        """Return how many bits the inputs of these layers have."""
        return 8


class BinaryQuantize(LowBitQuantize):
    """Store weights in one bit and a scale for each output channel; activations have eight bits."""

    method: Literal["binary"]
    hysteresis: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="A weight changes its sign only once it is this far beyond zero, in mean magnitudes of "
        "its channel; 0: at once.",
    )

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return "binary"


class _FewBits(LowBitQuantize):
    weights: Width = "int4"
    activations: Width = "int8"

    @property
    def label(self) -> str:
        """Return how the variant is called behind the number of its step."""
        return f"{self.method}-w{self.weight_bits}a{self.input_bits}"

    @property
    def weight_bits(self) -> int:
        """Return how many bits a weight between the first and the last layer has."""
        return _BITS[self.weights]

    @property
    def input_bits(self) -> int:
        """Return how many bits the inputs of these layers have."""
        return _BITS[self.activations]


class DorefaQuantize(_FewBits):
    """Round the tanh of the weights to values without zero; activations to a fixed range."""

    method: Literal["dorefa"]


class PactQuantize(_FewBits):
    """Learn where activations are cut off; weights as with `dorefa`."""

    method: Literal["pact"]
    activations: Width = "int4"
    clip_decay: float = Field(
        default=2e-4,
        ge=0,
        le=1,
        description="Weight decay of the learnt ends of activations: it pulls them in.",
    )


class WrpnQuantize(_FewBits):
    """Clip the weights to a limit for each channel and round them to steps with a zero."""

    method: Literal["wrpn"]
