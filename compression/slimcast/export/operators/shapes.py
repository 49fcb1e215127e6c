"""Operations that move values and compute nothing."""

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.writing import Writer, array, axis_of, integers, name_of, refuse
from slimcast.export.trace import Call, Value
from slimcast_edge.artifact import INPUT_NAME

_END = 2**62


def _nothing(_graph: GraphBuilder, call: Call) -> str:
    return call.args[0].name


def _reshape(graph: GraphBuilder, call: Call) -> str:
    """Reshape each image by itself; the batch may have any length."""
    value: Value = call.args[0]
    if value.shape[0] != call.shape[0]:
        raise refuse(call, "a reshape that mixes the images of a batch")
    if len(call.shape) == 2 and len(value.shape) > 2:
        return graph.node("Flatten", [value.name], axis=1)
    return graph.node("Reshape", [value.name, integers(graph, [0, *call.shape[1:]])])


def _permute(graph: GraphBuilder, call: Call) -> str:
    value: Value = call.args[0]
    dims = call.kwargs.get("dims", call.args[1:])
    dims = dims[0] if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims
    return graph.node("Transpose", [value.name], perm=[axis_of(int(axis), value) for axis in dims])


def _transpose(graph: GraphBuilder, call: Call) -> str:
    value: Value = call.args[0]
    order = list(range(len(value.shape)))
    first, second = (axis_of(call.argument(i, name), value) for i, name in ((1, "dim0"), (2, "dim1")))
    order[first], order[second] = order[second], order[first]
    return graph.node("Transpose", [value.name], perm=order)


def _concat(graph: GraphBuilder, call: Call) -> str:
    parts = call.argument(0, "tensors")
    axis = call.argument(1, "dim", 0) % len(call.shape)
    if axis == 0:
        raise refuse(call, "a concatenation of images")
    if len(parts) == 1:
        return parts[0].name
    return graph.node("Concat", [name_of(graph, part) for part in parts], axis=axis)


def _split(graph: GraphBuilder, call: Call) -> tuple[str, ...]:
    """Write `chunk` and `split`; the trace knows how long each part has become."""
    value: Value = call.args[0]
    axis = axis_of(call.argument(2, "dim", 0), value)
    outputs = [f"{call.name}.{index}" for index in range(len(call.shape))]
    parts: Any = call.shape
    sizes = integers(graph, [shape[axis] for shape in parts])
    return tuple(graph.nodes("Split", [value.name, sizes], outputs=outputs, axis=axis))


def _unbind(graph: GraphBuilder, call: Call) -> tuple[str, ...]:
    value: Value = call.args[0]
    axis = axis_of(call.argument(1, "dim", 0), value)
    picks = [graph.weight(np.array(index, np.int64)) for index in range(len(call.shape))]
    return tuple(graph.node("Gather", [value.name, pick], axis=axis) for pick in picks)


def _pick(graph: GraphBuilder, call: Call) -> Any:
    """Write ``values[index]``: one of several results, or a part of a tensor."""
    value, index = call.args
    if isinstance(value, tuple):
        return value[index].name
    out, axis = value.name, 0
    for item in index if isinstance(index, tuple) else (index,):
        if item is Ellipsis:
            axis = len(value.shape) - sum(i is not Ellipsis for i in index) + axis
        elif isinstance(item, slice):
            out = _slice(graph, out, item, axis)
            axis += 1
        elif isinstance(item, int) and axis > 0:
            # Kept as an axis of length 1 until the end, so that the numbers of the others stay.
            out = _slice(graph, out, slice(item, item + 1 or None), axis)
            axis += 1
        else:
            raise refuse(call, f"the index {item!r}")
    if len(call.shape) == len(value.shape):
        return out
    return graph.node("Reshape", [out, integers(graph, [0, *call.shape[1:]])])


def _slice(graph: GraphBuilder, value: str, part: slice, axis: int) -> str:
    if part == slice(None):
        return value
    ends = [part.start or 0, _END if part.stop is None else part.stop]
    bounds = [integers(graph, [number]) for number in (*ends, axis, part.step or 1)]
    return graph.node("Slice", [value, *bounds])


def _pad(graph: GraphBuilder, call: Call) -> str:
    value: Value = call.argument(0, "input")
    mode, fill = call.argument(2, "mode", "constant"), call.argument(3, "value") or 0.0
    if mode != "constant":
        raise refuse(call, f"padding of the kind {mode!r}")
    given = list(call.argument(1, "pad"))  # pairs, the last axis first
    given += [0] * (2 * len(value.shape) - len(given))
    before, after = given[::2][::-1], given[1::2][::-1]
    if not any(given):
        return value.name
    return graph.node("Pad", [value.name, integers(graph, before + after), name_of(graph, float(fill))])


def _expand(graph: GraphBuilder, call: Call) -> str:
    """Repeat a constant for each image of the batch, as a class token is."""
    constant = call.args[0]
    if not isinstance(constant, Tensor) or constant.shape[0] != 1:
        raise refuse(call, "expanding what depends on the image")
    length = graph.node("Gather", [graph.node("Shape", [INPUT_NAME]), integers(graph, [0])], axis=0)
    shape = graph.node("Concat", [length, integers(graph, call.shape[1:])], axis=0)
    return graph.node("Expand", [graph.weight(array(constant).astype(np.float32)), shape])


_WRITERS: list[tuple[Writer, tuple[Any, ...]]] = [
    (_nothing, (nn.Dropout, nn.Dropout2d, nn.Identity, F.dropout, F.dropout2d)),
    (_nothing, ("contiguous", "clone", "detach", "float", torch.clone)),
    (_reshape, (nn.Flatten, torch.flatten, "flatten", torch.reshape, "reshape", "view")),
    (_reshape, (torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze")),
    (_permute, (torch.permute, "permute")),
    (_transpose, (torch.transpose, "transpose")),
    (_concat, (torch.cat, torch.concat)),
    (_split, (torch.chunk, "chunk", torch.split, "split")),
    (_unbind, (torch.unbind, "unbind")),
    (_pick, (operator.getitem,)),
    (_pad, (F.pad,)),
    (_expand, ("expand",)),
]

SHAPES: dict[Any, Writer] = {kind: writer for writer, kinds in _WRITERS for kind in kinds}
"""By the module's type, the function, or the tensor's method."""
