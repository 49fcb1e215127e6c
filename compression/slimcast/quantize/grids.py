"""Where a graph that ONNX Runtime's quantizer has made rounds, and to which grid of numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

_ROUNDED = "_QuantizeLinear_Output"
_RESTORED = "_DequantizeLinear_Output"
_SCALE = "_scale"
_ACTIVATIONS = {"Relu", "Clip"}
_WEIGHTED = {"Conv", "Gemm", "MatMul"}
_TYPES = {"uint8": np.uint8, "int8": np.int8}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The numbers ``scale * (q - zero_point)``, for all q of eight bits."""

    scale: float
    zero_point: int


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """What is rounded in a graph; tensors have the names of the float graph that it was made of.

    Attributes:
        grids: tensors with a grid of their own, in the order of the graph.
        averages: results of average pooling, each with the tensor whose grid it is rounded to.
        joined: inputs of a Concat that nobody else reads, each with the result. To round the result does what
            rounding its inputs would, and with one grid for all of them nothing is rounded twice.
        layers: names of convolutions and linear layers whose weights are rounded.
    """

    grids: dict[str, Grid]
    averages: dict[str, str]
    joined: dict[str, str]
    layers: tuple[str, ...]

    @property
    def leaders(self) -> list[str]:
        """The tensors whose grids can be chosen; all others take theirs from one of them."""
        return [tensor for tensor in self.grids if tensor not in self.joined]


def rounding_of(quantized: onnx.ModelProto, model: onnx.ModelProto) -> Rounding:
    """Read it from a graph with QuantizeLinear/DequantizeLinear pairs; `model` is what it was made of."""
    stored = {item.name: item for item in quantized.graph.initializer}
    owners: dict[str, str] = {}  # whose grid each tensor has
    grids: dict[str, Grid] = {}
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            tensor = node.output[0].removesuffix(_ROUNDED)
            owners[tensor] = node.input[1].removesuffix(_SCALE)
            if owners[tensor] == tensor:
                scale, zero = (numpy_helper.to_array(stored[name]) for name in node.input[1:3])
                grids[tensor] = Grid(scale=float(scale), zero_point=int(zero))
    averages = [
        node.output[0]
        for node in quantized.graph.node
        if node.op_type == "AveragePool" and node.output[0] in owners and node.output[0] not in grids
    ]
    return Rounding(
        grids=grids,
        averages={tensor: owners[tensor] for tensor in averages},
        joined=_joined(quantized, model, grids, owners),
        layers=_integer_layers(quantized, set(stored)),
    )


def overrides(rounding: Rounding, chosen: Mapping[str, Grid], activations: str) -> dict[str, Any]:
    """Return chosen grids of leaders as ONNX Runtime's quantizer takes them.

    Args:
        rounding: of the graph.
        chosen: by leader; the ranges of others are found by calibration.
        activations: ``int8`` or ``uint8``.
    """
    given = {tensor: chosen[result] for tensor, result in rounding.joined.items() if result in chosen}
    kind = _TYPES[activations]
    return {
        tensor: [{"scale": np.array(grid.scale, np.float32), "zero_point": np.array(grid.zero_point, kind)}]
        for tensor, grid in (given | dict(chosen)).items()
    }


def _joined(
    quantized: onnx.ModelProto, model: onnx.ModelProto, grids: Mapping[str, Grid], owners: Mapping[str, str]
) -> dict[str, str]:
    readers = Counter(name for node in quantized.graph.node for name in node.input)
    sharing = Counter(owners.values())
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    found: dict[str, str] = {}
    for node in reversed(quantized.graph.node):  # the last Concat of several leads
        result = node.output[0]
        if node.op_type != "Concat" or result not in grids:
            continue
        tensors = [name.removesuffix(_RESTORED) for name in node.input]
        # The quantizer has taken activations out: the ends of a value's own grid do their work. So a grid
        # that holds others' negative values, or larger ones, must not take its place.
        apart = _ACTIVATIONS if {makers.get(tensor) for tensor in tensors} != {"Relu"} else set()
        for name, tensor in zip(node.input, tensors, strict=True):
            alone = readers[name] == 1 and sharing[tensor] == 1
            if tensor in grids and alone and makers.get(tensor) not in apart:
                found[tensor] = found.get(result, result)
    return found


def _integer_layers(quantized: onnx.ModelProto, stored: set[str]) -> tuple[str, ...]:
    made = {n.output[0]: n.input[0] for n in quantized.graph.node if n.op_type == "DequantizeLinear"}
    layers = [node for node in quantized.graph.node if node.op_type in _WEIGHTED]
    return tuple(node.name for node in layers if made.get(node.input[1]) in stored)
