"""Pooling, and means over an image."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.writing import Writer, axis_of, integers, pair, refuse
from slimcast.export.trace import Call, Value


def _window(call: Call) -> dict[str, Any]:
    kernel = _setting(call, 1, "kernel_size")
    stride = _setting(call, 2, "stride")
    return {
        "kernel_shape": pair(kernel),
        "strides": pair(kernel if stride is None or stride == [] else stride),
        "pads": pair(_setting(call, 3, "padding", 0)) * 2,
    }


def _setting(call: Call, index: int, name: str, default: Any = None) -> Any:
    if call.module is not None:
        return getattr(call.module, name)
    return call.argument(index, name, default)


def _max_pool(graph: GraphBuilder, call: Call) -> str:
    return graph.node(
        "MaxPool",
        [call.argument(0, "input").name],
        **_window(call),
        dilations=pair(_setting(call, 4, "dilation", 1)),
        ceil_mode=int(_setting(call, 5, "ceil_mode", False)),
    )


def _avg_pool(graph: GraphBuilder, call: Call) -> str:
    if _setting(call, 6, "divisor_override") is not None:
        raise refuse(call, "pooling with a divisor of its own")
    return graph.node(
        "AveragePool",
        [call.argument(0, "input").name],
        **_window(call),
        ceil_mode=int(_setting(call, 4, "ceil_mode", False)),
        count_include_pad=int(_setting(call, 5, "count_include_pad", True)),
    )


def _adaptive_pool(graph: GraphBuilder, call: Call) -> str:
    """Pool to a given grid; where it does not divide the given one, by two matrices of means."""
    value: Value = call.argument(0, "input")
    given = list(value.shape[2:])
    size = _setting(call, 1, "output_size")
    wanted = [side if want is None else int(want) for side, want in zip(given, _both(size), strict=True)]
    if wanted == [1, 1]:
        return graph.node("GlobalAveragePool", [value.name])
    if wanted == given:
        return value.name
    if all(side % want == 0 for side, want in zip(given, wanted, strict=True)):
        kernel = [side // want for side, want in zip(given, wanted, strict=True)]
        return graph.node("AveragePool", [value.name], kernel_shape=kernel, strides=kernel)
    out = value.name  # (N, C, H, W)
    for side, want in reversed(list(zip(given, wanted, strict=True))):
        out = graph.node("Transpose", [out], perm=[0, 1, 3, 2])  # the columns first, then the rows
        out = graph.node("MatMul", [graph.weight(_means(side, want)), out])
    return out


def _both(size: Any) -> list[Any]:
    return list(size) if isinstance(size, tuple | list) else [size, size]


def _means(side: int, wanted: int) -> np.ndarray:
    """Return (wanted, side): each row takes the mean of the pixels that adaptive pooling gives it."""
    matrix = np.zeros((wanted, side), np.float32)
    for row in range(wanted):
        first, end = row * side // wanted, -(-(row + 1) * side // wanted)
        matrix[row, first:end] = 1 / (end - first)
    return matrix


def _global_max(graph: GraphBuilder, call: Call) -> str:
    if _both(_setting(call, 1, "output_size")) != [1, 1]:
        raise refuse(call, "adaptive maximum to more than one value")
    return graph.node("GlobalMaxPool", [call.argument(0, "input").name])


def _mean(graph: GraphBuilder, call: Call) -> str:
    value: Value = call.argument(0, "input")
    axes = call.argument(1, "dim")
    if axes is None:
        raise refuse(call, "a mean over everything, images included")
    axes = sorted(axis_of(axis, value) for axis in ([axes] if isinstance(axes, int) else axes))
    keep = bool(call.argument(2, "keepdim", False))
    if axes == [2, 3] and len(value.shape) == 4:  # the form that has integer kernels
        out = graph.node("GlobalAveragePool", [value.name])
        return out if keep else graph.node("Flatten", [out], axis=1)
    return graph.node("ReduceMean", [value.name], axes=axes, keepdims=int(keep))


def _sum(graph: GraphBuilder, call: Call) -> str:
    value: Value = call.argument(0, "input")
    axes = call.argument(1, "dim")
    if axes is None:
        raise refuse(call, "a sum over everything, images included")
    axes = [axis_of(axis, value) for axis in ([axes] if isinstance(axes, int) else axes)]
    keep = int(bool(call.argument(2, "keepdim", False)))
    return graph.node("ReduceSum", [value.name, integers(graph, axes)], keepdims=keep)


POOLING: dict[Any, Writer] = {
    nn.MaxPool2d: _max_pool,
    F.max_pool2d: _max_pool,
    torch.max_pool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    F.avg_pool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive_pool,
    F.adaptive_avg_pool2d: _adaptive_pool,
    nn.AdaptiveMaxPool2d: _global_max,
    F.adaptive_max_pool2d: _global_max,
    torch.mean: _mean,
    "mean": _mean,
    torch.sum: _sum,
    "sum": _sum,
}
"""By the module's type, the function, or the tensor's method."""
