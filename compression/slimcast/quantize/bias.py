"""Bias correction: take the mean error that rounded weights cause out of the biases.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019,
arXiv:1906.04721, section 4.2, with the inputs' means measured on the images that calibrate. The error of an
output channel is (Wq - W) E[x]. Padding at the borders is not looked at.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from slimcast.quantize.runs import values_of

_BATCH = 8
_IMAGES = 64
_LAYERS = {"Conv", "Gemm"}


def correct_biases(quantized: onnx.ModelProto, model: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    """Return the quantized network with corrected biases.

    Args:
        quantized: with DequantizeLinear behind weights and biases, as ONNX Runtime's quantizer leaves it; is
            left as it is, as is `model`, which it was made of.
        images: that calibrate, uint8 (N, H, W, C).
    """
    out = onnx.ModelProto()
    out.CopyFrom(quantized)
    floats = {item.name: item for item in model.graph.initializer}
    stored = {item.name: item for item in out.graph.initializer}
    sources = {node.output[0]: node for node in out.graph.node if node.op_type == "DequantizeLinear"}
    originals = {node.name: node for node in model.graph.node if node.op_type in _LAYERS}
    layers = [
        node
        for node in out.graph.node
        if node.name in originals and len(node.input) > 2 and {*node.input[1:3]} <= set(sources)
    ]
    means = _means(model, [originals[node.name].input[0] for node in layers], images)
    for node in layers:
        original = originals[node.name]
        weight, bias = sources[node.input[1]], sources[node.input[2]]
        error = _dequantized(weight, stored) - numpy_helper.to_array(floats[original.input[1]])
        shift = _mean_output(error, means[original.input[0]])
        scale = numpy_helper.to_array(stored[bias.input[1]]).astype(np.float64)
        integers = numpy_helper.to_array(stored[bias.input[0]])
        corrected = np.clip(integers - np.round(shift / scale), -(2**31), 2**31 - 1)
        changed = numpy_helper.from_array(corrected.astype(integers.dtype), bias.input[0])
        stored[bias.input[0]].CopyFrom(changed)
    return out


def _means(model: onnx.ModelProto, names: list[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean of each channel of values in the graph, (C,)."""
    wanted = sorted(set(names))
    sums: dict[str, np.ndarray] = {}
    few = images[:_IMAGES]
    for start in range(0, len(few), _BATCH):
        batch = few[start : start + _BATCH]
        for name, value in values_of(model, wanted, batch).items():
            flat = value.reshape(len(batch), value.shape[1], -1).astype(np.float64)
            sums[name] = sums.get(name, 0.0) + flat.mean(2).sum(0)
    return {name: total / len(few) for name, total in sums.items()}


def _mean_output(weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return what weights, (O, I / groups, ...), make of inputs with a mean for each channel: (O,)."""
    outputs, per_group = weight.shape[:2]
    groups = len(mean) // per_group
    inputs = mean.reshape(groups, 1, per_group)
    summed = weight.reshape(groups, outputs // groups, per_group, -1).sum(3)
    found: np.ndarray = (summed * inputs).sum(2).reshape(outputs)
    return found


def _dequantized(node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]) -> np.ndarray:
    """Return what DequantizeLinear makes of a constant."""
    integers, scale = (numpy_helper.to_array(stored[name]).astype(np.float64) for name in node.input[:2])
    zero = numpy_helper.to_array(stored[node.input[2]]).astype(np.float64) if len(node.input) > 2 else 0.0
    shape = (-1, *[1] * (integers.ndim - 1)) if np.size(scale) > 1 else ()
    value: np.ndarray = (integers - np.reshape(zero, shape)) * np.reshape(scale, shape)
    return value
