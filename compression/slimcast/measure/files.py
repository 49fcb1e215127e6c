"""What an artifact file holds: bytes, values, zeros."""

import zlib
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

_WEIGHTED = {"Conv": 1, "Gemm": 1, "MatMul": 1}
_QUANTIZED = {"DequantizeLinear"}
_UNPACKING = {"Cast", "Gather", "Reshape", "Split", "Mul", "Range", "Div", "Mod", "Add"}


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """Size in bytes, size after zlib level 9, and the share of zeros among the stored weights."""

    size_bytes: int
    compressed_bytes: int
    sparsity: float


def facts_of(content: bytes) -> FileFacts:
    """Look into an artifact."""
    zeros = total = 0
    for weight in weights_of(onnx.load_from_string(content)):
        zeros += int((weight == 0).sum())
        total += weight.size
    return FileFacts(
        size_bytes=len(content),
        compressed_bytes=len(zlib.compress(content, 9)),
        sparsity=zeros / total if total else 0.0,
    )


def weights_of(model: onnx.ModelProto) -> list[np.ndarray]:
    """Return the weights of all convolutions and linear layers as they are stored."""
    return [weight for _, weight in weights_by_kind(model)]


def weights_by_kind(model: onnx.ModelProto) -> list[tuple[str, np.ndarray]]:
    """Return the weights of all convolutions and linear layers, each with the kind of its node."""
    constants = _Constants(model)
    found = []
    for node in model.graph.node:
        if node.op_type in _WEIGHTED:
            weight = constants.value(node.input[_WEIGHTED[node.op_type]])
            if weight is not None:
                found.append((node.op_type, weight))
    return found


class _Constants:
    """What is stored, and what is unpacked from it: weights of few bits lie several to a byte."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._stored = {item.name: item for item in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output}

    def value(self, name: str) -> np.ndarray | None:
        """Return a constant; one that is only scaled, as its integers. None: it depends on the image."""
        if name in self._stored:
            return numpy_helper.to_array(self._stored[name])
        maker = self._makers.get(name)
        if maker is not None and maker.op_type in _QUANTIZED:
            return self.value(maker.input[0])
        if maker is None or maker.op_type not in _UNPACKING:
            return None
        inputs = {item: self.value(item) for item in maker.input if item}
        if any(value is None for value in inputs.values()):
            return None
        results = ReferenceEvaluator(maker).run(None, inputs)
        self._stored |= {
            output: numpy_helper.from_array(result)
            for output, result in zip(maker.output, results, strict=True)
        }
        return self.value(name)


def integer_share(model: onnx.ModelProto) -> tuple[int, int]:
    """Return how many layers with weights of an optimized graph run in integers, and of how many."""
    integer = sum(
        node.op_type in {"QLinearConv", "QGemm", "QLinearMatMul", "ConvInteger"} for node in model.graph.node
    )
    floating = sum(
        node.op_type in {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
        for node in model.graph.node
    )
    return integer, integer + floating
