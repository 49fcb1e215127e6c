"""Cross-layer equalization: even out the ranges of the channels between two layers.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019,
arXiv:1906.04721. A channel that is divided by s in one layer and multiplied by s in the next leaves the
network's answers as they are, since what stands between the layers (ReLU, pooling) commutes with positive
factors. With s = sqrt(r1 r2) / r2 both layers use their range as well as the other. A clip at 6 does not
commute: such pairs stay as they are.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

_SWEEPS = 10
_CLOSE_ENOUGH = 1e-3
_LARGEST_FACTOR = 1e4
_COMMUTES = {"Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Flatten", "Identity"}


@dataclass(frozen=True, kw_only=True)
class _Pair:
    first: onnx.NodeProto
    second: onnx.NodeProto


def equalize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with evened out weights and the same answers; `model` is left as it is."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    weights = {item.name: numpy_helper.to_array(item).copy() for item in out.graph.initializer}
    pairs = _pairs(out.graph, weights)
    for _ in range(_SWEEPS):
        if max((_even_out(pair, weights) for pair in pairs), default=0.0) < _CLOSE_ENOUGH:
            break
    touched = {name for pair in pairs for node in (pair.first, pair.second) for name in node.input}
    for item in out.graph.initializer:
        if item.name in touched:
            item.CopyFrom(numpy_helper.from_array(weights[item.name], item.name))
    return out


def _pairs(graph: onnx.GraphProto, weights: dict[str, np.ndarray]) -> list[_Pair]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {item.name for item in graph.output}
    found = []
    for node in graph.node:
        if not _is_layer(node, weights, readers):
            continue
        value = node.output[0]
        while len(readers.get(value, [])) == 1 and value not in outputs:
            follower = readers[value][0]
            if follower.op_type not in _COMMUTES:
                if _is_layer(follower, weights, readers) and follower.input[0] == value:
                    found.append(_Pair(first=node, second=follower))
                break
            value = follower.output[0]
    return [pair for pair in found if _blocks(pair, weights) is not None]


def _is_layer(node: onnx.NodeProto, weights: dict[str, np.ndarray], readers: dict[str, list]) -> bool:
    if node.op_type == "Gemm":
        plain = all(item.name == "transB" and item.i == 1 for item in node.attribute)
    else:
        plain = node.op_type == "Conv"
    own = all(name in weights and len(readers[name]) == 1 for name in node.input[1:])
    return plain and own


def _blocks(pair: _Pair, weights: dict[str, np.ndarray]) -> tuple[int, int] | None:
    """Return (channels, inputs of the second layer for each channel); None where they do not fit."""
    channels = len(weights[pair.first.input[1]])
    second = weights[pair.second.input[1]]
    group = _group(pair.second)
    if group == 1:
        inputs = second.shape[1]
        return (channels, inputs // channels) if inputs % channels == 0 else None
    depthwise = group == channels and second.shape[1] == 1 and len(second) % channels == 0
    return (channels, 1) if depthwise else None


def _even_out(pair: _Pair, weights: dict[str, np.ndarray]) -> float:
    """Scale one pair in place; return by how much the largest factor differs from one."""
    blocks = _blocks(pair, weights)
    assert blocks is not None
    channels, each = blocks
    first, second = weights[pair.first.input[1]], weights[pair.second.input[1]]
    depthwise = _group(pair.second) > 1
    by_channel = second.reshape(channels, -1) if depthwise else second.swapaxes(0, 1).reshape(channels, -1)
    r1 = np.abs(first.reshape(channels, -1)).max(1)
    r2 = np.abs(by_channel).max(1)
    usable = (r1 > 0) & (r2 > 0)
    factor = np.where(usable, np.sqrt(np.where(usable, r1 / np.where(r2 > 0, r2, 1), 1)), 1)
    factor = factor.clip(1 / _LARGEST_FACTOR, _LARGEST_FACTOR).astype(np.float32)
    first /= factor.reshape(-1, *[1] * (first.ndim - 1))
    if len(pair.first.input) > 2:
        weights[pair.first.input[2]] /= factor
    if depthwise:
        second *= np.repeat(factor, len(second) // channels).reshape(-1, *[1] * (second.ndim - 1))
    else:
        second *= np.repeat(factor, each).reshape(1, -1, *[1] * (second.ndim - 2))
    return float(np.abs(factor - 1).max(initial=0.0))


def _group(node: onnx.NodeProto) -> int:
    return next((item.i for item in node.attribute if item.name == "group"), 1)
