"""What a network costs: multiply-accumulates and parameters, counted exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, nn

from slimcast.measure.observe import observe


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One thing that a network costs, and how it is found for a given network.

    Attributes:
        name: ``macs``, ``params``, ``size_bytes`` or ``latency_ms``. unit: "" for counts, ``B``, ``ms``.
        of: (network) -> cost; leaves the network as it is, and may take seconds where it measures.
        exact: whether the same network always costs the same. A measured cost is not.
        narrowed: (network) -> what counts any copy of it with fewer channels by the shapes of its weights,
            without running it; None where shapes alone do not tell.
    """

    name: str
    unit: str
    of: Callable[[nn.Module], float]
    exact: bool = True
    narrowed: Callable[[nn.Module], Callable[[nn.Module], float]] | None = None

    def show(self, value: float) -> str:
        """Return a value with its unit, as a person reads it."""
        number = f"{value:,.0f}" if self.exact else f"{value:.3f}"
        return f"{number} {self.unit}".rstrip() if self.unit else f"{number} {self.name}"


def count_macs(model: nn.Module, example: Tensor) -> int:
    """Return the multiply-accumulates of convolutions and linear layers for one image, (1, C, H, W)."""
    return macs_counter(model, example)(model)


def macs_counter(model: nn.Module, example: Tensor) -> Callable[[nn.Module], int]:
    """Return what counts the multiply-accumulates of a network and of copies of it with fewer channels.

    The image, (1, C, H, W), goes through the network once; copies are counted by the shapes of their weights.
    That is right as long as each layer works at as many places as before, which channels do not decide.
    """
    layers: dict[nn.Module, str] = {
        m: name for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
    }
    places = dict.fromkeys(layers.values(), 0)

    def note(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        places[layers[module]] += prod(output.shape[2:]) if isinstance(module, nn.Conv2d) else 1

    observe(model, example, dict.fromkeys(layers, note))

    def macs_of(network: nn.Module) -> int:
        # outputs * inputs / groups * kernel height * kernel width, at each place
        modules: dict[str, Any] = dict(network.named_modules())
        return sum(modules[name].weight.numel() * count for name, count in places.items() if count)

    return macs_of


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained values, batch norms included."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_exported_parameters(model: nn.Module) -> int:
    """Return how many weights and biases there are once batch norms are folded."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(layer.weight.numel() + layer.weight.shape[0] for layer in layers)


def macs_cost(example: Tensor) -> Cost:
    """Return the multiply-accumulates for one image, (1, C, H, W), as a cost."""
    return Cost(
        name="macs",
        unit="",
        of=lambda model: count_macs(model, example),
        narrowed=lambda model: macs_counter(model, example),
    )


PARAMS = Cost(name="params", unit="", of=count_parameters, narrowed=lambda _model: count_parameters)
