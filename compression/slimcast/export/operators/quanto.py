"""Layers of few bits: packed integers (or float8) with the scales and shifts that quanto has given them.

Weights are stored as quanto has rounded them, bit for bit, and unpacked by nodes that a runtime folds::

    8 bits                  INT8 or FLOAT8 -> DequantizeLinear
    4, 2 bits, exact zero   UINT4 or UINT2 -> DequantizeLinear with zero points -> Reshape
    4, 2 bits, free levels  UINT4 or UINT2 -> DequantizeLinear -> Sub -> Reshape
    with int8 activations   INT4 or INT2 -> Cast to INT8 -> DequantizeLinear, which integer kernels take

Groups of weights with a scale of their own are the rows of a matrix, which is reshaped behind it. So a batch
norm behind the layer, one factor for each output, goes into the scales (and what is subtracted) of its rows.
"""

from typing import Any

import ml_dtypes
import numpy as np
from onnx import TensorProto
from torch import Tensor, nn

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.weighted import conv_of, write_batch_norm, write_conv, write_linear
from slimcast.export.operators.writing import Writer, array, integers, refuse
from slimcast.export.trace import Call, Value
from slimcast.models.quanto import FORMATS, QuantoBatchNorm2d, QuantoConv2d, QuantoLinear
from slimcast.models.quanto_library import WeightQBitsTensor, WeightQBytesTensor

_UNSIGNED = {4: ml_dtypes.uint4, 2: ml_dtypes.uint2}
_SIGNED = {4: ml_dtypes.int4, 2: ml_dtypes.int2}
_FLOAT8 = {FORMATS["float8"]: ml_dtypes.float8_e4m3fn, FORMATS["float8_e5m2"]: ml_dtypes.float8_e5m2}


def _conv(graph: GraphBuilder, call: Call) -> str:
    layer: Any = call.module
    value = _incoming(graph, layer, call.argument(0, "input").name)
    out = write_conv(graph, call, conv_of(call), [value, _weights(graph, call, layer)])
    return _outgoing(graph, layer, out)


def _linear(graph: GraphBuilder, call: Call) -> str:
    layer: Any = call.module
    given: Value = call.argument(0, "input")
    value, weight = _incoming(graph, layer, given.name), _weights(graph, call, layer)
    is_matrix = len(given.shape) == 2
    if not is_matrix:
        weight = graph.node("Transpose", [weight], perm=[1, 0])
    return _outgoing(
        graph, layer, write_linear(graph, call, [value, weight], layer.bias, is_matrix=is_matrix)
    )


def _batch_norm(graph: GraphBuilder, call: Call) -> str:
    return _outgoing(graph, call.module, write_batch_norm(graph, call))


def _weights(graph: GraphBuilder, call: Call, layer: Any) -> str:
    """Write the weights, packed, with the nodes that unpack them; return the name of the floats, (O, ...)."""
    weight = layer.qweight
    if isinstance(weight, WeightQBytesTensor):
        return _bytes(graph, weight)
    if not isinstance(weight, WeightQBitsTensor):
        raise refuse(call, f"weights as {type(weight).__name__}")
    if weight._shift.is_floating_point():
        return _free(graph, weight)
    if layer.format.activations == FORMATS["int8"] and weight._group_size is None:
        return _for_integers(graph, weight)
    return _with_zero(graph, weight)


def _bytes(graph: GraphBuilder, weight: Any) -> str:
    """Write 8 bits a weight, with a scale for each output: (O, ...)."""
    float8 = _FLOAT8.get(weight.qtype.name)
    values = array(weight._data.float() if float8 else weight._data).astype(float8 or np.int8)
    scales = np.broadcast_to(
        array(weight._scale).reshape(-1), len(values)
    )  # one for all where there is one output
    return _dequantized(graph, values, scales)


def _with_zero(graph: GraphBuilder, weight: Any) -> str:
    kind = _UNSIGNED[weight.qtype.bits]
    zeros = array(weight._shift).reshape(-1).astype(kind)
    name = _dequantized(graph, _rows(weight).astype(kind), array(weight._scale).reshape(-1), zeros)
    return _reshaped(graph, name, weight)


def _free(graph: GraphBuilder, weight: Any) -> str:
    values = _rows(weight).astype(_UNSIGNED[weight.qtype.bits])
    name = _dequantized(graph, values, array(weight._scale).reshape(-1))
    shifts = graph.weight(array(weight._shift).reshape(-1, 1))
    [scales] = graph.rows_of(name)
    moved = graph.node("Sub", [name, shifts])
    graph.made_of_rows(moved, (scales, shifts))
    return _reshaped(graph, moved, weight)


def _for_integers(graph: GraphBuilder, weight: Any) -> str:
    middle = 2 ** (weight.qtype.bits - 1)
    if bool((weight._shift != middle).any()):
        return _with_zero(graph, weight)
    values = array(weight._data.unpack()).astype(np.int8) - middle
    packed = graph.weight(values.astype(_SIGNED[weight.qtype.bits]))
    unpacked = graph.node("Cast", [packed], to=TensorProto.INT8)
    return _scaled(graph, unpacked, array(weight._scale).reshape(-1))


def _rows(weight: Any) -> np.ndarray:
    """Return the integers, 0 to 15 or 3, one row for each scale: (R, group)."""
    values = array(weight._data.unpack())
    return values.reshape(len(values), -1)


def _dequantized(
    graph: GraphBuilder, values: np.ndarray, scales: np.ndarray, zeros: np.ndarray | None = None
) -> str:
    return _scaled(graph, graph.weight(values), scales, zeros)


def _scaled(graph: GraphBuilder, values: str, scales: np.ndarray, zeros: np.ndarray | None = None) -> str:
    names = [graph.weight(scales.astype(np.float32))] + ([] if zeros is None else [graph.weight(zeros)])
    out = graph.node("DequantizeLinear", [values, *names], axis=0)
    graph.made_of_rows(out, (names[0],))
    return out


def _reshaped(graph: GraphBuilder, rows: str, weight: Any) -> str:
    out = graph.node("Reshape", [rows, integers(graph, list(weight.shape))])
    graph.made_of_rows(out, graph.rows_of(rows))
    return out


def _incoming(graph: GraphBuilder, layer: Any, value: str) -> str:
    """Round what a layer reads where it is to be rounded."""
    return rounded(graph, value, layer.input_scale, layer.format.activations) if layer.format.input else value


def _outgoing(graph: GraphBuilder, layer: Any, value: str) -> str:
    """Round what a layer gives where it is to be rounded."""
    return (
        rounded(graph, value, layer.output_scale, layer.format.activations) if layer.format.output else value
    )


def rounded(graph: GraphBuilder, value: str, scale: Tensor, kind: str) -> str:
    """Write the pair of nodes that brings a value to few bits and back.

    int8 is written as uint8 around 128, the same numbers: on x86-64 ONNX Runtime has integer kernels for
    that only.
    """
    zero = np.array(128, np.uint8) if kind == FORMATS["int8"] else np.array(0, _FLOAT8[kind])
    numbers = [graph.weight(array(scale).astype(np.float32).reshape(())), graph.weight(zero)]
    packed = graph.node("QuantizeLinear", [value, *numbers])
    return graph.node("DequantizeLinear", [packed, *numbers])


QUANTO: dict[type[nn.Module], Writer] = {
    QuantoConv2d: _conv,
    QuantoLinear: _linear,
    QuantoBatchNorm2d: _batch_norm,
}
"""By the module's type."""
