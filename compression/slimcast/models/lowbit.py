"""Convolutions and linear layers that compute with weights and inputs of few bits.

They are the ordinary ones with two parts more: `weight_grid`, which says how the trained weights become
those that the layer computes with, and `input_grid`, the grid of what it reads. The trained weights stay in
float32 under their own name, so counting, saving and training on work as ever. A checkpoint describes each
such layer as plain data, and loading puts it into the network that the catalog has built.
"""

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.errors import ModelError
from slimcast.models.lowbit_inputs import InputGrid
from slimcast.models.lowbit_weights import (
    BinaryWeights,
    DorefaWeights,
    Grid,
    Int8Weights,
    Levels,
    WeightGrid,
    WrpnWeights,
)
from slimcast.models.resnet_cifar import PaddingShortcut

_WEIGHTS: dict[str, Any] = {
    "binary": BinaryWeights,
    "dorefa": DorefaWeights,
    "wrpn": WrpnWeights,
    "int8": Int8Weights,
}


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a layer's numbers are kept.

    Attributes:
        weights: ``binary``, ``dorefa``, ``wrpn`` or ``int8``. weight_bits: 1, 2, 4 or 8. input_bits: 2, 4
            or 8.
        inputs: ``calibrated``: rounded after the training, with ranges that are found then; ``trained``:
            rounded while it trains, with ranges from before; ``learnt``: the same, and training moves the
            ranges.
        threshold: of `BinaryWeights`.
    """

    weights: str
    weight_bits: int
    input_bits: int = 8
    inputs: str = "calibrated"
    threshold: float = 0.0

    def grid_of(self, weight: Tensor) -> WeightGrid:
        """Return what brings such weights to few bits."""
        options = {"threshold": self.threshold} if self.weights == "binary" else {}
        made: WeightGrid = _WEIGHTS[self.weights](weight, bits=self.weight_bits, **options)
        return made


class LowBitConv2d(nn.Conv2d):
    """A convolution in the place of another one, whose weights it takes over; (N, I, ..) -> (N, O, ..)."""

    def __init__(self, layer: nn.Conv2d, scheme: Scheme) -> None:
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            layer.groups,
            bias=False,
            padding_mode=layer.padding_mode,
            device="meta",
        )
        self.weight, self.bias = layer.weight, layer.bias
        self.scheme = scheme
        self.weight_grid, self.input_grid = scheme.grid_of(self.weight), InputGrid(scheme.input_bits)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return self._conv_forward(self.input_grid(x), self.weight_grid.quantized(self.weight), self.bias)


class LowBitLinear(nn.Linear):
    """A linear layer in the place of another one, whose weights it takes over; (.., I) -> (.., O)."""

    def __init__(self, layer: nn.Linear, scheme: Scheme) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=False, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        self.scheme = scheme
        self.weight_grid, self.input_grid = scheme.grid_of(self.weight), InputGrid(scheme.input_bits)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return F.linear(self.input_grid(x), self.weight_grid.quantized(self.weight), self.bias)


LowBit = LowBitConv2d | LowBitLinear


def lowbit_layers(model: nn.Module) -> dict[str, LowBit]:
    """Return the layers with few bits by their name, in the order of the network."""
    return {name: m for name, m in model.named_modules() if isinstance(m, LowBitConv2d | LowBitLinear)}


def put_lowbit(model: nn.Module, name: str, scheme: Scheme) -> LowBit:
    """Replace a convolution or linear layer, in place, and return what now stands there."""
    layer = model.get_submodule(name)
    made: LowBit
    if isinstance(layer, nn.Conv2d):
        made = LowBitConv2d(layer, scheme)
    elif isinstance(layer, nn.Linear):
        made = LowBitLinear(layer, scheme)
    else:
        raise ModelError(f"{name!r} is neither a convolution nor a linear layer: it cannot have few bits.")
    made.weight_grid.start(made.weight)
    made.train(layer.training)
    model.set_submodule(name, made, strict=True)
    return made


@torch.no_grad()
def quantized_weights(layer: LowBit) -> Tensor:
    """Return the weights that a layer computes with, whatever mode it is in."""
    training = layer.weight_grid.training
    try:
        return layer.weight_grid.eval().quantized(layer.weight)
    finally:
        layer.weight_grid.train(training)


def levels_of(model: nn.Module) -> dict[str, Levels]:
    """Return the integer weights of all layers with few bits, by their name."""
    return {name: layer.weight_grid.levels(layer.weight) for name, layer in lowbit_layers(model).items()}


def fixed_levels(model: nn.Module) -> dict[str, Levels]:
    """Return the weights of shortcuts of option A, which are fixed to 0 and 1: one bit each."""
    return {
        name: Levels(grid=Grid(bits=1, step=1, first=0), values=module.weight.detach().to(torch.int8))
        for name, module in model.named_modules()
        if isinstance(module, PaddingShortcut)
    }


def with_float_inputs(model: nn.Module) -> nn.Module:
    """Return a copy whose layers with few bits read their input as it is."""
    copied = copy.deepcopy(model)
    for layer in lowbit_layers(copied).values():
        layer.input_grid = InputGrid(layer.scheme.input_bits)
    return copied


def take_out_lowbit(model: nn.Module) -> None:
    """Put ordinary layers, with the weights that these stand for, in the place of those with few bits."""
    for name, layer in lowbit_layers(model).items():
        weight = quantized_weights(layer)
        plain: nn.Module
        if isinstance(layer, LowBitConv2d):
            window = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
            plain = nn.Conv2d(layer.in_channels, layer.out_channels, *window, bias=False, device="meta")  # type: ignore[arg-type]
            plain.padding_mode = layer.padding_mode
        else:
            plain = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
        plain.weight, plain.bias = nn.Parameter(weight), layer.bias
        model.set_submodule(name, plain, strict=True)


def describe_lowbit(layer: LowBit) -> dict[str, Any]:
    """Return what `put_described` needs to make such a layer again."""
    return asdict(layer.scheme)


def put_described(model: nn.Module, layers: dict[str, dict[str, Any]]) -> None:
    """Put layers with few bits where a checkpoint has them, in place; their buffers are still to be loaded.

    Raises:
        ModelError: the network lacks such a layer, or the description makes no sense.
    """
    for name, description in layers.items():
        try:
            put_lowbit(model, name, Scheme(**description)).input_grid.ready = True
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"The checkpoint describes a layer {name!r} that cannot be: {error}") from error
