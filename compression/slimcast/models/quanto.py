"""Layers with weights of few bits: optimum-quanto's, made to be copied, saved, and trained in bfloat16.

quanto keeps the weights of a frozen layer as a tensor of its own kind, which torch cannot copy, and hands it
to the convolution, where autocast cannot convert it. These layers compute with the numbers it stands for.
"""

import copy
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.errors import ModelError
from slimcast.models.quanto_library import QConv2d, QLinear, QModuleMixin, QTensor, qtypes
from slimcast.models.quanto_ranges import FittedRange, WholeRange

FORMATS = {
    "int8": "qint8",
    "int4": "qint4",
    "int2": "qint2",
    "float8": "qfloat8_e4m3fn",
    "float8_e5m2": "qfloat8_e5m2",
}
"""quanto's types by the names that recipes use."""
_SPARSE = 0.5


@dataclass(frozen=True, kw_only=True)
class LayerFormat:
    """In which numbers a layer stores and computes.

    Attributes:
        weights: quanto's type; "" for a norm, whose weights stay in float.
        group: weights that share a scale; None: those of an output channel.
        activations: quanto's type of what goes in and out; "": float.
        input, output: whether what goes in, and what comes out, is brought to that type.
    """

    weights: str
    group: int | None = None
    activations: str = ""
    input: bool = False
    output: bool = False


class QuantoLayer(QModuleMixin):
    """What the layers have in common."""

    _quantize_hooks: dict[str, Any]

    def set_activations(self, kind: str, *, input: bool, output: bool) -> None:
        """Bring what goes in, what comes out or both to a type of quanto's, from now on."""
        self.activation_qtype = qtypes[kind]
        if input:
            self._quantize_hooks["input"] = self.register_forward_pre_hook(self.quantize_input)
        if output:
            self._quantize_hooks["output"] = self.register_forward_hook(self.quantize_output)

    def quantize_output(self, module: nn.Module, input: Any, output: Tensor) -> Tensor:
        """Return the rounded output as plain numbers: changes in place get lost on quanto's own tensors."""
        rounded: Tensor = plain(super().quantize_output(module, input, output))
        return rounded

    @property
    def format(self) -> LayerFormat:
        """In which numbers the layer stores and computes."""
        return LayerFormat(
            weights=self.weight_qtype.name if self.weight_qtype is not None else "",
            group=self.weight_group_size,
            activations=self.activation_qtype.name if self.activation_qtype is not None else "",
            input="input" in self._quantize_hooks,
            output="output" in self._quantize_hooks,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if isinstance(self.weight, QTensor):
            # What a frozen weight holds is never changed, so the copy may share it.
            memo[id(self.weight)] = nn.Parameter(self.weight.detach(), self.weight.requires_grad)
        new = self.__class__.__new__(self.__class__)
        memo[id(self)] = new
        new.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return new


class QuantoConv2d(QuantoLayer, QConv2d):
    """A convolution whose weights are quantized each time it runs, or once for all when it is frozen."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of (N, C, H, W) with the weights as they are after rounding."""
        return self._conv_forward(plain(input), plain(self.qweight), self.bias)


class QuantoLinear(QuantoLayer, QLinear):
    """A linear layer whose weights are quantized each time it runs, or once for all when it is frozen."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the product of (..., I) with the weights as they are after rounding."""
        return F.linear(plain(input), plain(self.qweight), self.bias)


class QuantoBatchNorm2d(QuantoLayer, nn.BatchNorm2d):
    """A batch norm behind a low-bit layer, with which it becomes one: so its output is what is quantized."""

    # quanto saves weights and scales only; the statistics of a norm count as well.
    _save_to_state_dict = nn.BatchNorm2d._save_to_state_dict
    _load_from_state_dict = nn.BatchNorm2d._load_from_state_dict

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> Self:
        """Return the norm in this form, with the same tensors."""
        new = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        for name, parameter in norm.named_parameters(recurse=False):
            setattr(new, name, parameter)
        for name, buffer in norm.named_buffers(recurse=False):
            setattr(new, name, buffer)
        return new.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised values, (N, C, H, W)."""
        return nn.BatchNorm2d.forward(self, plain(input))


def plain(values: Any) -> Any:
    """Return the numbers that a tensor of quanto's stands for; others as they are."""
    return values.dequantize() if isinstance(values, QTensor) else values


def can_be_low_bit(layer: nn.Module) -> bool:
    """Return whether this is a convolution or a linear layer that computes just that, and in float."""
    if isinstance(layer, QModuleMixin | nn.modules.linear.NonDynamicallyQuantizableLinear):
        return False
    own = type(layer).forward
    return own in (nn.Conv2d.forward, nn.Linear.forward)


def put(model: nn.Module, name: str, wanted: LayerFormat) -> nn.Module:
    """Put a low-bit layer in the place of a plain one, with its weights, and return it.

    Raises:
        ModelError: there is no such layer, or none that has such a form.
    """
    try:
        layer = model.get_submodule(name)
        new = _made(layer, wanted)
    except (AttributeError, KeyError) as error:
        raise ModelError(f"The network has no layer {name!r} that could have few bits: {error}") from error
    if wanted.activations:
        new.set_activations(wanted.activations, input=wanted.input, output=wanted.output)
    model.set_submodule(name, new, strict=True)
    return new


def _made(layer: nn.Module, wanted: LayerFormat) -> Any:
    if isinstance(layer, nn.BatchNorm2d):
        return QuantoBatchNorm2d.of(layer)
    if not can_be_low_bit(layer):
        raise KeyError(type(layer).__name__)
    kind = QuantoConv2d if isinstance(layer, nn.Conv2d) else QuantoLinear
    weights = qtypes[wanted.weights]
    weight: Tensor = layer.weight  # type: ignore[assignment]
    integers = wanted.activations == FORMATS["int8"]
    optimizer = WholeRange() if weights.bits == 8 else FittedRange(_zero(weight, weights.bits, integers))
    new = kind.from_module(layer, weights=weights, optimizer=optimizer).train(layer.training)
    # from_module makes an input hook for linear layers with activations only; there are none yet.
    new.weight_group_size = wanted.group
    return new


def _zero(weight: Tensor, bits: int, integers: bool) -> str:
    """Return how zero is met, see `FittedRange`: four levels are too few to spend one on it without need."""
    if integers:
        return "middle"
    sparse = float((weight == 0).float().mean()) > _SPARSE
    return "exact" if bits > 2 or sparse else "free"


def group_of(weight: Tensor, weights: str) -> int | None:
    """Return how many weights share a scale: quanto's rule for 4 and 2 bits, None for a whole channel."""
    if qtypes[weights].bits == 8:
        return None
    inputs = weight[0].numel()
    return next((size for size in (128, 96, 64, 32) if inputs > size and inputs % size == 0), None)


def quanto_layers(model: nn.Module) -> dict[str, QuantoLayer]:
    """Return the low-bit layers by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, QuantoLayer)}


@torch.no_grad()
def freeze(model: nn.Module) -> None:
    """Round the weights of all low-bit layers once for all; they cannot be trained after that."""
    for layer in quanto_layers(model).values():
        if layer.weight_qtype is not None and not layer.frozen:
            trained = layer.weight.requires_grad
            layer.freeze()
            layer.weight.requires_grad_(trained)


Description = dict[str, Any]


def describe(layer: QuantoLayer) -> Description:
    """Return what `restore` needs to make the same layer."""
    return asdict(layer.format) | {"shape": list(layer.weight.shape)}


def restore(model: nn.Module, described: dict[str, Description]) -> None:
    """Put low-bit layers where a checkpoint describes some, frozen, with any weights.

    Raises:
        ModelError: the network lacks such a layer, or the description is damaged.
    """
    for name, description in described.items():
        try:
            wanted = LayerFormat(**{k: v for k, v in description.items() if k != "shape"})
        except TypeError as error:
            raise ModelError(f"The checkpoint describes {name!r} as no layer of few bits: {error}") from error
        put(model, name, wanted)
    freeze(model)


def float_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of the same network in float: what the rounded weights stand for, and all others."""
    layers = quanto_layers(model)
    inner = tuple(f"{name}.{part}" for name in layers for part in ("weight._", "input_scale", "output_scale"))
    state = {key: value for key, value in model.state_dict().items() if not key.startswith(inner)}
    return state | {f"{name}.weight": plain(layer.weight.detach()) for name, layer in layers.items()}
