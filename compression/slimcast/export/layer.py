"""Write one layer alone as ONNX, to be timed: in float32, or quantized as static quantization leaves it.

Weights are one number for each output channel, expanded to the layer's shape when the runtime loads it: the
kernels are the same, and the file of a layer with megabytes of weights can be sent to a device in a moment.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from slimcast.export.graph import GraphBuilder
from slimcast.measure.layers import LayerShape

_INPUT = "x"
_SCALE = np.array(0.02, np.float32)
_ZERO = np.array(0, np.uint8)


def write_layer(layer: LayerShape, numbers: str) -> bytes:
    """Return a graph of the layer with made-up weights; it takes no time less than with trained ones.

    Args:
        layer: what to write.
        numbers: ``float32``; or ``int8``: input and output are uint8, the weights int8 with a scale for each
            output channel, the bias int32, so that the integer kernel is timed and no conversion. Its
            activation is left out: in a quantized network the bounds of the output's integers do its work.
    """
    graph = GraphBuilder()
    quantized = numbers == "int8"
    pixels = graph.node("DequantizeLinear", [_INPUT, *_scale(graph)]) if quantized else _INPUT
    operands = [pixels, *(_integers(graph, layer) if quantized else _floats(graph, layer))]
    if layer.kind == "linear":
        output = graph.node("Gemm", operands, name="layer", transB=1)
    else:
        output = graph.node("Conv", operands, name="layer", **_window(layer))
    if quantized:
        output = graph.node("QuantizeLinear", [output, *_scale(graph)])
    else:
        output = _activated(graph, layer.activation, output)
    kind = TensorProto.UINT8 if quantized else TensorProto.FLOAT
    proto = graph.model(
        [helper.make_tensor_value_info(_INPUT, kind, _shape(layer, layer.inputs, layer.size))],
        [helper.make_tensor_value_info(output, kind, _shape(layer, layer.outputs, layer.output_size))],
    )
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _activated(graph: GraphBuilder, activation: str, values: str) -> str:
    if activation == "ReLU":
        return graph.node("Relu", [values])
    if activation == "ReLU6":
        return graph.node("Clip", [values, *(graph.weight(np.array(bound, np.float32)) for bound in (0, 6))])
    return values


def _shape(layer: LayerShape, channels: int, size: tuple[int, int]) -> list[int]:
    return [1, channels, *size] if layer.kind == "conv" else [1, channels]


def _window(layer: LayerShape) -> dict[str, Any]:
    return {
        "kernel_shape": list(layer.kernel),
        "strides": list(layer.stride),
        "pads": [*layer.padding, *layer.padding],
        "dilations": list(layer.dilation),
        "group": layer.groups,
    }


def _values(layer: LayerShape) -> np.ndarray:
    """Return a number of int8 for each output, (outputs, 1, 1, 1) or (outputs, 1); none is zero."""
    shape = [layer.outputs, *([1] * (3 if layer.kind == "conv" else 1))]
    return np.random.default_rng(0).integers(1, 101, shape, dtype=np.int8)


def _expanded(graph: GraphBuilder, layer: LayerShape, values: np.ndarray) -> str:
    """Add weights, (outputs, inputs / groups, height, width) or (outputs, inputs), and return their name."""
    shape = [layer.outputs, layer.inputs // layer.groups]
    shape += list(layer.kernel) if layer.kind == "conv" else []
    return graph.node("Expand", [graph.weight(values), graph.weight(np.array(shape, np.int64))])


def _floats(graph: GraphBuilder, layer: LayerShape) -> list[str]:
    weights = _expanded(graph, layer, _values(layer).astype(np.float32) / 1000)
    return [weights, graph.weight(np.full(layer.outputs, 0.1, np.float32))]


def _integers(graph: GraphBuilder, layer: LayerShape) -> list[str]:
    scales = np.full(layer.outputs, 1e-3, np.float32)
    zeros = np.zeros(layer.outputs, np.int8)
    weights = [_expanded(graph, layer, _values(layer)), graph.weight(scales), graph.weight(zeros)]
    bias = np.full(layer.outputs, 4_000, np.int32)
    # ONNX wants a bias in steps of the input's scale times the weights'.
    biases = [graph.weight(bias), graph.weight(scales * _SCALE), graph.weight(zeros.astype(np.int32))]
    return [
        graph.node("DequantizeLinear", weights, axis=0),
        graph.node("DequantizeLinear", biases, axis=0),
    ]


def _scale(graph: GraphBuilder) -> list[str]:
    return [graph.weight(_SCALE), graph.weight(_ZERO)]
