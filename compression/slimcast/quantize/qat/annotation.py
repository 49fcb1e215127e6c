"""What torchao's PT2E quantizes: the tensors that ONNX Runtime's quantizer has rounded, and no others.

Annotations written for other backends leave the convolutions in front of residual sums in float, or round
between a convolution and its activation, where ONNX Runtime fuses them. Here the graph that ONNX Runtime's
quantizer has made of the same network says where to round, so training sees the roundings of the artifact.

Batch norms are hidden from PT2E while it prepares. Its own fusion scales a convolution's weights by those of
its norm, rounds them and divides the result again. With a scale for each output channel that changes nothing
(round(w s / max|w s|) is round(w / max|w|)), but it divides by zero where a norm's weight is zero, and it
gives every norm the epsilon 1e-5. So a norm stays behind its convolution in training, and is folded after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from slimcast.quantize.grids import Grid
from slimcast.quantize.qat.program import kind_of, parameter_of
from slimcast.quantize.qat.pt2e import (
    FakeQuantizeBase,
    FusedMovingAvgObsFakeQuantize,
    MovingAverageMinMaxObserver,
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
)

_ANNOTATION = "quantization_annotation"
_BOUNDS = {"uint8": (0, 255), "int8": (-128, 127)}
_DTYPES = {"uint8": torch.uint8, "int8": torch.int8}
WEIGHT_BOUND = 127  # int8, symmetric
_AVERAGING = 0.01
"""What a batch's range counts in the moving average; it starts from the calibrated range."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a program rounds.

    Attributes:
        grids: nodes whose results are rounded, with the grid to begin with.
        averages: nodes whose results are rounded to the grid of another node.
        layers: names of modules whose weights are rounded.
        activations: ``int8`` or ``uint8``.
    """

    grids: Mapping[fx.Node, Grid]
    averages: Mapping[fx.Node, fx.Node]
    layers: frozenset[str]
    activations: str


class RuntimeQuantizer(Quantizer):
    """Annotates a program for `prepare_qat_pt2e`.

    Attributes:
        rounders: what rounds the result of each node, once PT2E has prepared the program.
    """

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places
        self.rounders: dict[fx.Node, FusedMovingAvgObsFakeQuantize] = {}

    def transform_for_annotation(self, model: fx.GraphModule) -> fx.GraphModule:
        """Hide batch norms; `show_norms` brings them back."""
        for node in model.graph.nodes:
            if node.target is torch.ops.aten.batch_norm.default:
                node.target = _hidden_norm
        return model

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Say of each node what of it is rounded."""
        for node in model.graph.nodes:
            found = QuantizationAnnotation(_annotated=True)
            if node in self._places.grids:
                found.output_qspec = self._activation_spec()
            elif node in self._places.averages:
                found.output_qspec = self._spec(SameGrid)
            if rounds_weight(node, self._places.layers):
                found.input_qspec_map = {node.args[1]: _weight_spec()}
            if found.output_qspec is not None or found.input_qspec_map:
                node.meta[_ANNOTATION] = found
        return model

    def validate(self, model: fx.GraphModule) -> None:
        """Do nothing: what is annotated was found in this very program."""

    def prepare_obs_or_fq_callback(
        self, model: fx.GraphModule, edge_or_node_to_obs_or_fq: dict[Any, Any]
    ) -> None:
        """Let each rounder begin with its grid, and each average know whose grid it has."""
        for node, grid in self._places.grids.items():
            rounder = edge_or_node_to_obs_or_fq[node]
            _begin(rounder, grid)
            self.rounders[node] = rounder
        for node, source in self._places.averages.items():
            edge_or_node_to_obs_or_fq[node].follow(self.rounders[source])

    def _activation_spec(self) -> QuantizationSpec:
        observer = MovingAverageMinMaxObserver.with_args(averaging_constant=_AVERAGING)
        return self._spec(FusedMovingAvgObsFakeQuantize.with_args(observer=observer))

    def _spec(self, rounder: Any) -> QuantizationSpec:
        low, high = _BOUNDS[self._places.activations]
        return QuantizationSpec(
            dtype=_DTYPES[self._places.activations],
            quant_min=low,
            quant_max=high,
            qscheme=torch.per_tensor_affine,
            observer_or_fake_quant_ctr=rounder,
        )


def show_norms(program: fx.GraphModule) -> None:
    """Bring the batch norms back that were hidden from PT2E."""
    for node in program.graph.nodes:
        if node.target is _hidden_norm:
            node.target = torch.ops.aten.batch_norm.default


def rounds_weight(node: fx.Node, layers: frozenset[str]) -> bool:
    """Return whether a node is a convolution or linear layer with one of these names."""
    name = parameter_of(node, 1) if kind_of(node) in {"conv2d", "linear"} else ""
    return name.endswith(".weight") and name.removesuffix(".weight") in layers


class RoundedWeight(FakeQuantizeBase):
    """Rounds weights, (O, ...), to 255 steps between -max|w| and max|w| of each output channel.

    torchao's fused module would take -128 for the lowest step and so find other scales than ONNX Runtime.
    """

    def __init__(self, **_settings: Any) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(1, dtype=torch.int32))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rounded weights; gradients pass as they are."""
        scale = weight_scale(weight)
        zero = self.zero.expand(len(scale)).contiguous()
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -WEIGHT_BOUND, WEIGHT_BOUND)

    def calculate_qparams(self, **_settings: Any) -> Any:
        """Do not tell: the scale follows the weights."""
        raise NotImplementedError


class SameGrid(FakeQuantizeBase):
    """Rounds to the grid of another rounder: a mean of numbers on a grid lies between them."""

    def __init__(self, quant_min: int, quant_max: int, **_settings: Any) -> None:
        super().__init__()
        self._bounds = quant_min, quant_max
        self._source: list[nn.Module] = []  # a list hides it from torch: it is a module of its own already

    def follow(self, source: nn.Module) -> None:
        """Say whose grid it is."""
        self._source = [source]

    def forward(self, values: Tensor) -> Tensor:
        """Return the rounded values."""
        source: Any = self._source[0]
        return torch.fake_quantize_per_tensor_affine(values, source.scale, source.zero_point, *self._bounds)

    def calculate_qparams(self, **_settings: Any) -> Any:
        """Return the other's."""
        source: Any = self._source[0]
        return source.scale, source.zero_point


def weight_scale(weight: Tensor) -> Tensor:
    """Return the step of each output channel, (O,)."""
    largest = weight.detach().abs().flatten(1).amax(1)
    return (largest / WEIGHT_BOUND).clamp(min=torch.finfo(torch.float32).tiny)


def _weight_spec() -> QuantizationSpec:
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-WEIGHT_BOUND,
        quant_max=WEIGHT_BOUND,
        qscheme=torch.per_channel_symmetric,
        observer_or_fake_quant_ctr=RoundedWeight,
    )


def _begin(rounder: FusedMovingAvgObsFakeQuantize, grid: Grid) -> None:
    observer = rounder.activation_post_process
    observer.min_val.fill_(grid.scale * (rounder.quant_min - grid.zero_point))
    observer.max_val.fill_(grid.scale * (rounder.quant_max - grid.zero_point))
    rounder.scale.fill_(grid.scale)
    rounder.zero_point.fill_(grid.zero_point)


def _hidden_norm(
    values: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    momentum: float,
    epsilon: float,
    _cudnn: bool,
) -> Tensor:
    """Do what a batch norm does, under another name."""
    return F.batch_norm(values, mean, variance, weight, bias, training, momentum, epsilon)
