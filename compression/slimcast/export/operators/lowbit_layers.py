"""Layers with few bits: plain constants for the weights that they compute with, inputs on their grid."""

from dataclasses import replace
from typing import Any

import numpy as np
from torch.nn import functional as F

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.weighted import WEIGHTED
from slimcast.export.operators.writing import refuse
from slimcast.export.trace import Call, Value
from slimcast.models.lowbit import LowBitConv2d, LowBitLinear, quantized_weights
from slimcast.models.lowbit_inputs import InputGrid


def _conv(graph: GraphBuilder, call: Call) -> Any:
    layer = call.module
    assert isinstance(layer, LowBitConv2d)
    if layer.padding_mode != "zeros":
        raise refuse(call, f"its padding is {layer.padding_mode}, only zeros are known")
    image = _on_grid(graph, call.argument(0, "input"), layer.input_grid)
    window = (layer.stride, layer.padding, layer.dilation, layer.groups)
    plain = (image, quantized_weights(layer), layer.bias, *window)
    return WEIGHTED[F.conv2d](graph, replace(call, module=None, args=plain, kwargs={}))


def _linear(graph: GraphBuilder, call: Call) -> Any:
    layer = call.module
    assert isinstance(layer, LowBitLinear)
    values = _on_grid(graph, call.argument(0, "input"), layer.input_grid)
    plain = (values, quantized_weights(layer), layer.bias)
    return WEIGHTED[F.linear](graph, replace(call, module=None, args=plain, kwargs={}))


def _on_grid(graph: GraphBuilder, value: Value, grid: InputGrid) -> Value:
    """Round a value to uint8 and back; fewer bits are a coarser scale, and integers that end earlier."""
    if not grid.ready:
        return value
    scale, zero = grid.grid()
    steps = [graph.weight(np.array(scale, np.float32)), graph.weight(np.array(zero, np.uint8))]
    integers = graph.node("QuantizeLinear", [value.name, *steps])
    if grid.bits < 8:
        bounds = [graph.weight(np.array(bound, np.uint8)) for bound in (0, grid.most)]
        integers = graph.node("Clip", [integers, *bounds])
    return replace(value, name=graph.node("DequantizeLinear", [integers, *steps]))


LOWBIT: dict[Any, Any] = {LowBitConv2d: _conv, LowBitLinear: _linear}
"""By the module's type."""
