"""Operations that move values and compute nothing."""

import operator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.writing import Writer, axis_of, integers, name_of, per_image, refuse
from slimcast.export.trace import BATCH, Call, Value

_END = 2**62


def _nothing(_graph: GraphBuilder, call: Call) -> str:
    return call.args[0].name


def _reshape(graph: GraphBuilder, call: Call) -> str:
    """Reshape each image by itself; the batch may have any length."""
    value: Value = call.args[0]
    if value.shape[0] % BATCH or call.shape[0] % BATCH:
        raise refuse(call, "a reshape of values that do not have the images of the batch in front")
    if value.shape[0] != call.shape[0]:  # such as windows of each image, one after another
        return graph.node("Reshape", [value.name, integers(graph, [-1, *call.shape[1:]])])
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
    names = [part.name if isinstance(part, Value) else per_image(graph, part) for part in parts]
    return graph.node("Concat", names, axis=axis)


def _stack(graph: GraphBuilder, call: Call) -> str:
    parts = call.argument(0, "tensors")
    axis = call.argument(1, "dim", 0) % len(call.shape)
    if axis == 0 or not all(isinstance(part, Value) for part in parts):
        raise refuse(call, "stacking images or constants")
    axes = integers(graph, [axis])
    return graph.node("Concat", [graph.node("Unsqueeze", [part.name, axes]) for part in parts], axis=axis)


def _resize(graph: GraphBuilder, call: Call) -> str:
    """Write interpolation to the size that the trace has found."""
    settings = call.module if call.module is not None else None

    def setting(index: int, name: str, default: Any) -> Any:
        return getattr(settings, name) if settings is not None else call.argument(index, name, default)

    mode, corners = setting(3, "mode", "nearest"), bool(setting(4, "align_corners", None))
    if mode not in {"nearest", "bilinear"} or len(call.shape) != 4:
        raise refuse(call, f"interpolation of the kind {mode!r}")
    value: Value = call.argument(0, "input")
    length = graph.node("Slice", [graph.node("Shape", [value.name]), *(integers(graph, [n]) for n in (0, 2))])
    size = graph.node("Concat", [length, integers(graph, call.shape[2:])], axis=0)
    place = "asymmetric" if mode == "nearest" else "align_corners" if corners else "half_pixel"
    return graph.node(
        "Resize",
        [value.name, "", "", size],
        mode="nearest" if mode == "nearest" else "linear",
        coordinate_transformation_mode=place,
        nearest_mode="floor",
    )


def _split(graph: GraphBuilder, call: Call) -> tuple[str, ...]:
    """Write `chunk` and `split`; the trace knows how long each part has become."""
    value: Value = call.args[0]
    axis = axis_of(call.argument(2, "dim", 0), value)
    parts: Any = call.shape
    sizes = integers(graph, [shape[axis] for shape in parts])
    return tuple(graph.nodes("Split", [value.name, sizes], outputs=len(parts), axis=axis))


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
    if mode not in {"constant", "reflect"}:
        raise refuse(call, f"padding of the kind {mode!r}")
    given = list(call.argument(1, "pad"))  # pairs, the last axis first
    given += [0] * (2 * len(value.shape) - len(given))
    before, after = given[::2][::-1], given[1::2][::-1]
    if not any(given):
        return value.name
    inputs = [value.name, integers(graph, before + after)]
    inputs += [name_of(graph, float(fill))] if mode == "constant" else []
    return graph.node("Pad", inputs, mode=mode)


_WRITERS: list[tuple[Writer, tuple[Any, ...]]] = [
    (_nothing, (nn.Dropout, nn.Dropout2d, nn.Identity, F.dropout, F.dropout2d)),
    (_nothing, ("contiguous", "clone", "detach", "float", torch.clone)),
    (_reshape, (nn.Flatten, torch.flatten, "flatten", torch.reshape, "reshape", "view")),
    (_reshape, (torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze")),
    (_permute, (torch.permute, "permute")),
    (_transpose, (torch.transpose, "transpose")),
    (_concat, (torch.cat, torch.concat)),
    (_stack, (torch.stack,)),
    (_resize, (nn.Upsample, F.interpolate)),
    (_split, (torch.chunk, "chunk", torch.split, "split")),
    (_unbind, (torch.unbind, "unbind")),
    (_pick, (operator.getitem,)),
    (_pad, (F.pad,)),
]

SHAPES: dict[Any, Writer] = {kind: writer for writer, kinds in _WRITERS for kind in kinds}
"""By the module's type, the function, or the tensor's method."""
