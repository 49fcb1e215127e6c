"""What a network costs: multiply-accumulates and parameters, counted exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from slimcast.measure.observe import observe


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One thing that a network costs, and how it is found for a given network.

    Attributes:
        name: ``macs``, ``params``, ``size_bytes`` or ``latency_ms``. unit: "" for counts, ``B``, ``ms``.
        of: (network) -> cost; leaves the network as it is, and may take seconds where it measures.
        exact: whether the same network always costs the same. A measured cost is not.
    """

    name: str
    unit: str
    of: Callable[[nn.Module], float]
    exact: bool = True

    def show(self, value: float) -> str:
        """Return a value with its unit, as a person reads it."""
        number = f"{value:,.0f}" if self.exact else f"{value:.3f}"
        return f"{number} {self.unit}".rstrip() if self.unit else f"{number} {self.name}"


def count_macs(model: nn.Module, example: Tensor) -> int:
    """Return the multiply-accumulates of convolutions and linear layers for one image, (1, C, H, W)."""
    macs = 0

    def count(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        if isinstance(module, nn.Conv2d):
            per_value = module.weight[0].numel()  # in_channels / groups * kernel height * kernel width
            macs += per_value * prod(output.shape[1:])
        elif isinstance(module, nn.Linear):
            macs += module.in_features * module.out_features

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    observe(model, example, dict.fromkeys(layers, count))
    return macs


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained values, batch norms included."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_exported_parameters(model: nn.Module) -> int:
    """Return how many weights and biases there are once batch norms are folded."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(layer.weight.numel() + layer.weight.shape[0] for layer in layers)
