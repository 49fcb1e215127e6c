"""Weights of few bits in an ONNX graph: packed into bytes, and looked up in a table when the file is loaded.

A byte holds 8, 4 or 2 weights of 1, 2 or 4 bits. The table has a row for each of the 256 bytes: the
weights, as small integers, that the byte stands for; a few nodes make it, which is shorter than the table.
All that depends on constants only, so ONNX Runtime does it once, at load, with any operator set since 13
and without a session option; what it computes with afterwards are ordinary int8 weights and its integer
kernels. INT4 and INT2 tensors would need the sets 21 and 25, and there is no 1-bit tensor.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slimcast.errors import StepError
from slimcast.models.lowbit_weights import Grid, Levels

_LAYERS = {"Conv", "Gemm", "MatMul"}
_BYTES = 256
_CLOSE = 1e-3  # of a layer's largest weight: what folding in float32 may have moved it from the grid
_MOST_STEPS = 2.0**30  # of a bias, which is stored in 32 bits


def pack(steps: np.ndarray, bits: int) -> np.ndarray:
    """Return integers 0 .. 2 ** bits - 1, of any shape, as bytes, the first one in the lowest bits."""
    per_byte = 8 // bits
    flat = steps.reshape(-1).astype(np.uint8)
    whole = np.concatenate([flat, np.zeros(-len(flat) % per_byte, np.uint8)])
    shifted = whole.reshape(-1, per_byte) << (np.arange(per_byte, dtype=np.uint8) * bits)
    return np.asarray(np.bitwise_or.reduce(shifted, axis=1))


def pack_weights(
    graph: onnx.ModelProto, source: onnx.ModelProto, levels: Mapping[str, Levels]
) -> onnx.ModelProto:
    """Return a copy whose weights of few bits are packed.

    Args:
        graph: `source` itself, or what a quantizer has made of it; there, weights of eight bits stay as they
            are, and the others keep their DequantizeLinear, with integers and scales that are exact.
        source: float32, the weights on their grids times a scale for each output (a folded batch norm).
        levels: the integers by the name of the layer.

    Raises:
        StepError: the weights of a layer are not on its grid.
    """
    out = onnx.ModelProto()
    out.CopyFrom(graph)
    packer = _Packer(out, source)
    for node in list(out.graph.node):
        if node.op_type in _LAYERS and node.name in levels:
            packer.pack(node, levels[node.name])
    packer.finish()
    return out


@dataclass(frozen=True, kw_only=True)
class _OnGrid:
    """Integer weights as the node wants them, the axis of its outputs, and a scale for each of them, (O,)."""

    values: np.ndarray
    axis: int
    scale: np.ndarray

    @property
    def along(self) -> tuple[int, ...]:
        """The shape in which the scales meet the values."""
        return tuple(-1 if axis == self.axis else 1 for axis in range(self.values.ndim))


class _Packer:
    def __init__(self, out: onnx.ModelProto, source: onnx.ModelProto) -> None:
        self._graph = out.graph
        self._layers = {node.name: node for node in source.graph.node if node.op_type in _LAYERS}
        self._floats = {item.name: item for item in source.graph.initializer}
        self._stored = {item.name: item for item in out.graph.initializer}
        self._makers = {name: node for node in out.graph.node for name in node.output}
        self._packed: dict[Grid, list[tuple[np.ndarray, str]]] = defaultdict(list)
        self._made: list[onnx.NodeProto] = []

    def pack(self, node: onnx.NodeProto, levels: Levels) -> None:
        """Replace the weights of one layer."""
        maker = self._makers.get(node.input[1])
        quantized = maker is not None and maker.op_type == "DequantizeLinear"
        if quantized and levels.grid.bits == 8:
            return
        layer = self._layers[node.name]
        weight = numpy_helper.to_array(self._floats[layer.input[1]])
        found = _fitted(node, weight, levels)
        integers = self._integers(found.values, levels.grid)
        if not quantized:
            values = self._node("Cast", [integers], to=TensorProto.FLOAT)
            node.input[1] = self._node("Mul", [values, self._add(found.scale.reshape(found.along))])
            return
        assert maker is not None
        scale, step = found.scale, self._makers[node.input[0]].input[1]
        if len(layer.input) > 2:
            bias = numpy_helper.to_array(self._floats[layer.input[2]]).astype(np.float64)
            unit = float(numpy_helper.to_array(self._stored[step]))
            # A bias of 32 bits counts in steps of input times weight.
            scale = np.maximum(scale, np.abs(bias) / (unit * _MOST_STEPS)).astype(np.float32)
            steps = np.round(bias / (scale * np.float32(unit)).astype(np.float64)).astype(np.int32)
        scales = self._add(scale)
        # ONNX Runtime makes no integer kernel of a linear layer whose zero points go without saying.
        zeros = [] if node.op_type == "Conv" else [self._add(np.zeros(len(scale), np.int8))]
        _feed(maker, [integers, scales, *zeros], found.axis)
        if len(layer.input) > 2:
            _feed(self._makers[node.input[2]], [self._add(steps), self._node("Mul", [scales, step])], 0)

    def finish(self) -> None:
        """Write the packed weights of each grid as one, and drop what nobody reads any more."""
        unpacking = [node for grid, parts in self._packed.items() for node in self._unpacking(grid, parts)]
        rest = list(self._graph.node)
        del self._graph.node[:]
        # They read constants only, so they can stand before all others.
        self._graph.node.extend([*unpacking, *self._made, *rest])
        used = {name for node in self._graph.node for name in node.input}
        kept = [item for item in self._graph.initializer if item.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _integers(self, values: np.ndarray, grid: Grid) -> str:
        """Return the name that a layer's integers will have once they are unpacked."""
        if grid.bits == 8 and grid.step == 1:
            return self._add(values.astype(np.int8))
        flat = f"packed.{len(self._made)}"
        self._packed[grid].append(((values - grid.first) // grid.step, flat))
        return self._node("Reshape", [flat, self._add(np.array(values.shape))])

    def _unpacking(self, grid: Grid, parts: list[tuple[np.ndarray, str]]) -> list[onnx.NodeProto]:
        """Return what looks up all weights of a grid, and splits them into those of each layer."""
        per_byte = 8 // grid.bits
        name = f"grid.{grid.bits}.{grid.step}"
        sizes, outputs = [], []
        for steps, flat in parts:
            left = -steps.size % per_byte  # each layer begins with a byte of its own
            sizes += [steps.size, left] if left else [steps.size]
            outputs += [flat, f"{flat}.left"] if left else [flat]
        packed = np.concatenate([pack(steps, grid.bits) for steps, _ in parts])
        integers = TensorProto.INT16 if grid.bits == 8 else TensorProto.INT8
        chain: list[tuple[str, list[Any], dict[str, int]]] = [
            ("Range", [np.int32(0), np.int32(_BYTES), np.int32(1)], {}),
            ("Reshape", ["", np.array([_BYTES, 1])], {}),
            ("Div", ["", 2 ** (grid.bits * np.arange(per_byte, dtype=np.int32))], {}),
            ("Mod", ["", np.int32(2**grid.bits)], {}),
            ("Mul", ["", np.int32(grid.step)], {}),
            ("Add", ["", np.int32(grid.first)], {}),
            ("Cast", [""], {"to": integers}),  # the table, (256, weights of a byte)
            ("Gather", ["", f"{name}.bytes"], {"axis": 0}),
            ("Reshape", ["", np.array([-1])], {}),
            ("Split", ["", np.array(sizes)], {"axis": 0}),
        ]
        nodes = [helper.make_node("Cast", [self._add(packed)], [f"{name}.bytes"], to=TensorProto.INT32)]
        for index, (kind, inputs, attributes) in enumerate(chain):
            given = [
                self._add(np.asarray(item)) if not isinstance(item, str) else item or nodes[-1].output[0]
                for item in inputs
            ]
            made = outputs if kind == "Split" else [f"{name}.{index}"]
            nodes.append(helper.make_node(kind, given, made, **attributes))
        for index, node in enumerate(nodes):
            node.name = f"{name}.node{index}"
        return nodes

    def _add(self, values: np.ndarray) -> str:
        name = f"constant.{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def _node(self, kind: str, inputs: list[str], **attributes: int) -> str:
        name = f"made.{len(self._made)}"
        self._made.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name


def _feed(node: onnx.NodeProto, inputs: list[str], axis: int) -> None:
    """Let a DequantizeLinear read other integers and scales, with zero at 0."""
    del node.input[:], node.attribute[:]
    node.input.extend(inputs)
    node.attribute.append(helper.make_attribute("axis", axis))


def _fitted(node: onnx.NodeProto, weight: np.ndarray, levels: Levels) -> _OnGrid:
    """Return the integers and scales of a layer; a scale below zero turns the integers' signs instead."""
    values = levels.values.numpy().astype(np.int32)
    turned = node.op_type == "MatMul"
    if turned:
        values = values.T
    axis = 1 if turned else 0
    others = tuple(i for i in range(values.ndim) if i != axis)
    whole = weight.astype(np.float64)
    scale = (whole * values).sum(others) / np.maximum((values**2).sum(others), 1)
    fitted = _OnGrid(values=values, axis=axis, scale=scale)
    off = float(np.abs(whole - values * scale.reshape(fitted.along)).max(initial=0.0))
    if not np.isfinite(whole).all() or off > _CLOSE * float(np.abs(whole).max(initial=0.0)):
        raise StepError(f"The weights of {node.name} are not on their grid of {levels.grid.bits} bits.")
    signs = np.where(scale < 0, -1, 1)
    # Where all is zero any scale will do; where only the scale is zero, an integer must still have one.
    scale = np.where((values == 0).all(others), 1, np.maximum(np.abs(scale), np.finfo(np.float32).tiny))
    return _OnGrid(
        values=values * signs.reshape(fitted.along),
        axis=axis,
        scale=scale.astype(np.float32),
    )
