"""What an artifact file holds: bytes, values, zeros."""

import zlib
from dataclasses import dataclass

import numpy as np
import onnx

from slimcast.measure.constants import Constants

_WEIGHTED = {"Conv": 1, "Gemm": 1, "MatMul": 1}


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
    """Return the weights of all convolutions and linear layers as they are stored, see `weights_by_kind`."""
    return [weight for _, weight in weights_by_kind(model)]


def weights_by_kind(model: onnx.ModelProto) -> list[tuple[str, np.ndarray]]:
    """Return the weights of all convolutions and linear layers, each with the kind of its node.

    Integers without a zero point are returned as they are, other packed weights as the floats they stand for:
    either way zero is zero.
    """
    reader = Constants(model)
    found = []
    for node in model.graph.node:
        if node.op_type in _WEIGHTED:
            weight = reader.weight(node.input[_WEIGHTED[node.op_type]])
            if weight is not None:
                found.append((node.op_type, weight))
    return found


def integer_share(model: onnx.ModelProto) -> tuple[int, int]:
    """Return how many layers with weights of an optimized graph run in integers, and of how many."""
    integer = sum(
        node.op_type in {"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "ConvInteger"}
        for node in model.graph.node
    )
    floating = sum(
        node.op_type in {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}
        for node in model.graph.node
    )
    return integer, integer + floating
