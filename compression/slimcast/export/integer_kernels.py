"""Move roundings of activations to where ONNX Runtime can compute a layer in integers from end to end.

It does so for a layer between DequantizeLinear and QuantizeLinear, with nothing in between, whose bias is in
integers too. quanto rounds what a layer reads; between a layer and the next there may be a ReLU, a clip, a
pooling. Rounding never reorders values, so for those it may as well come first: ``round(relu(x)) ==
relu(round(x))``, number by number. Every change here keeps the answers, but for the biases: they become
multiples of input scale times weight scale, off by half of that at most.

With float8 nothing runs in integers. There the rounding comes first as well: ONNX Runtime 1.31 drops a ReLU
that stands before a rounding to float8, as if that had no negative numbers.
"""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.transformers.onnx_model import OnnxModel

from slimcast.measure.constants import Constants

_MOVED = {"Relu", "Clip", "MaxPool", "Flatten", "Reshape", "Transpose", "Identity"}
_CUTS = {"Relu", "Clip"}
_MOST_STEPS = 2**30
"""Of a bias: half of what 32 bits hold, so that the products still fit."""


def use_integer_kernels(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with roundings moved; `model` is left as it is.

    Args:
        model: with pairs of QuantizeLinear and DequantizeLinear, one scale for a whole activation, to uint8
            or float8.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph = _Graph(out)
    while graph.step():
        pass
    graph.finish_layers()
    graph.write()
    return out


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph, self._constants = model.graph, Constants(model)
        self._nodes = list(model.graph.node)
        self._outputs = {output.name for output in model.graph.output}
        self._count = 0
        self._index()

    def _index(self) -> None:
        self._makers = {name: node for node in self._nodes for name in node.output}
        self._reads: dict[str, list[onnx.NodeProto]] = {}
        for node in self._nodes:
            for name in set(node.input):
                self._reads.setdefault(name, []).append(node)

    def write(self) -> None:
        """Put the nodes back, in an order in which they can run."""
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self._nodes]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        OnnxModel.graph_topological_sort(self._graph)

    def step(self) -> bool:
        """Change one thing, the first that can be changed; False: there is nothing left."""
        if not any(self._change(node) for node in self._nodes):
            return False
        used = {name for node in self._nodes for name in node.input} | self._outputs
        self._nodes = [node for node in self._nodes if used & set(node.output)]
        self._index()
        return True

    def _change(self, node: onnx.NodeProto) -> bool:
        """Change something at a node; False: there is nothing to change."""
        maker = self._makers.get(node.input[0]) if node.input else None
        if maker is None:
            return False
        if node.op_type == "QuantizeLinear":
            if maker.op_type == "DequantizeLinear" and self._same_numbers([node, maker]):
                return self._skip(node, maker)
            moved = _MOVED if self._in_bytes(node) else _CUTS
            return maker.op_type in moved and self._round_first(node, maker)
        if node.op_type == "Relu" and maker.op_type == "DequantizeLinear" and maker.input[0] in self._makers:
            return self._in_bytes(maker) and self._dequantize_later(node, maker)
        return False

    def _skip(self, rounding: onnx.NodeProto, maker: onnx.NodeProto) -> bool:
        """Take out a second rounding to the numbers that the value was rounded to already."""
        for reader in self._readers(rounding.output[0]):
            _replace(reader.input, rounding.output[0], maker.input[0])
        self._remove(rounding)
        return True

    def _round_first(self, rounding: onnx.NodeProto, moved: onnx.NodeProto) -> bool:
        """Round before an operation that keeps order; its readers must all round in the same way."""
        readers = self._readers(moved.output[0])
        if moved.output[0] in self._outputs:
            return False
        if any(r.op_type != "QuantizeLinear" for r in readers) or not self._same_numbers(readers):
            return False
        packed, numbers = self._name(), rounding.input[1:]
        self._nodes.append(helper.make_node("QuantizeLinear", [moved.input[0], *numbers], [packed]))
        users = [(user, reader) for reader in readers for user in self._readers(reader.output[0])]
        for reader in readers:
            self._remove(reader)
        if self._in_bytes(rounding):
            small = self._name()
            for user, reader in users:
                _replace(user.input, reader.output[0], small)
            self._in_integers(moved, packed, small, rounding)
            return True
        back = self._name()
        self._nodes.append(helper.make_node("DequantizeLinear", [packed, *numbers], [back]))
        for user, _ in users:  # they bring it back to float, as it is now
            for last in self._readers(user.output[0]):
                _replace(last.input, user.output[0], moved.output[0])
            self._remove(user)
        self._in_floats(moved, back, rounding)
        return True

    def _dequantize_later(self, relu: onnx.NodeProto, maker: onnx.NodeProto) -> bool:
        """Cut below zero before a value is brought back to float."""
        small, output = self._name(), relu.output[0]
        self._nodes.append(helper.make_node("DequantizeLinear", [small, *maker.input[1:]], [output]))
        self._in_integers(relu, maker.input[0], small, maker)
        return True

    def _in_integers(self, node: onnx.NodeProto, packed: str, small: str, numbers: onnx.NodeProto) -> None:
        """Let a node work on integers with the scale and zero point of a rounding."""
        scale, zero = self._numbers(numbers)
        given, node.output[0] = list(node.input), small
        if node.op_type in {"Relu", "Clip"}:
            bounds = ["", ""] if node.op_type == "Clip" else [numbers.input[2], ""]
            for index, name in enumerate(given[1:3]):
                bound = self._constants.value(name) if name else None
                if bound is not None:
                    steps = np.clip(np.rint(bound / scale) + zero, 0, 255)
                    bounds[index] = self._add(steps.astype(np.uint8).reshape(()))
            node.op_type, given = "Clip", ["", *bounds]
        del node.input[:]
        node.input.extend([packed, *given[1:]])

    def _in_floats(self, node: onnx.NodeProto, value: str, numbers: onnx.NodeProto) -> None:
        """Let a node work on values that are rounded to float8 already; the bounds of a clip are, too."""
        scale, _ = self._numbers(numbers)
        kind = self._constants.value(numbers.input[2]).dtype  # type: ignore[union-attr]
        node.input[0] = value
        for index, name in enumerate(node.input[1:], 1):
            bound = self._constants.value(name) if name else None
            if bound is not None:
                node.input[index] = self._add((bound / scale).astype(kind).astype(np.float32) * scale)

    def finish_layers(self) -> None:
        """Give layers that read and hold integers what their kernels want besides: biases in integers."""
        for node in list(self._nodes):
            if node.op_type in {"Conv", "Gemm"}:
                self._finish_layer(node)

    def _finish_layer(self, node: onnx.NodeProto) -> None:
        pixels, weights = self._makers.get(node.input[0]), self._makers.get(node.input[1])
        if pixels is None or weights is None or {pixels.op_type, weights.op_type} != {"DequantizeLinear"}:
            return
        integers = self._constants.value(weights.input[0])
        if integers is None or integers.dtype != np.int8 or not self._in_bytes(pixels):
            return
        if node.op_type == "Gemm" and len(weights.input) == 2:  # it is fused with a zero point only
            weights.input.append(self._add(np.zeros(len(integers), np.int8)))
        if len(node.input) > 2:
            self._round_bias(node, pixels, weights)

    def _round_bias(self, node: onnx.NodeProto, pixels: onnx.NodeProto, weights: onnx.NodeProto) -> None:
        bias = self._constants.value(node.input[2])
        if bias is None:
            return
        scale = (self._numbers(pixels)[0] * self._constants.value(weights.input[1])).astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.rint(bias / scale)
        if not (np.abs(steps) <= _MOST_STEPS).all():  # NaN as well: a scale may be zero
            return
        name = self._name()
        numbers = [self._add(steps.astype(np.int32)), self._add(scale)]
        self._nodes.append(helper.make_node("DequantizeLinear", numbers, [name], axis=0))
        node.input[2] = name

    def _in_bytes(self, node: onnx.NodeProto) -> bool:
        zero = self._constants.value(node.input[2]) if len(node.input) > 2 else None
        return zero is not None and zero.dtype == np.uint8

    def _numbers(self, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
        scale, zero = (self._constants.value(name) for name in node.input[1:3])
        assert scale is not None
        assert zero is not None
        return scale, zero.astype(np.float32)

    def _same_numbers(self, nodes: Iterable[onnx.NodeProto]) -> bool:
        return len({tuple(part.item() for part in self._numbers(node)) for node in nodes}) == 1

    def _readers(self, value: str) -> list[onnx.NodeProto]:
        return self._reads.get(value, [])

    def _remove(self, gone: onnx.NodeProto) -> None:
        self._nodes = [node for node in self._nodes if node is not gone]

    def _name(self) -> str:
        self._count += 1
        return f"integer{self._count}"

    def _add(self, values: np.ndarray) -> str:
        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name


def _replace(names: onnx.NodeProto, old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new
