"""What all writers of operations share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from slimcast.errors import ModelError
from slimcast.export.graph import GraphBuilder
from slimcast.export.trace import BATCH, Call, Value
from slimcast_edge.artifact import INPUT_NAME

Writer = Callable[[GraphBuilder, Call], Any]
"""Adds a call's nodes; returns the name of its result, or the names where there are several."""


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor's values."""
    return tensor.detach().cpu().numpy()


def name_of(graph: GraphBuilder, argument: Any) -> str:
    """Return the name of a value; constants are added to the graph.

    Raises:
        TypeError: the argument is no tensor and no number.
    """
    if isinstance(argument, Value):
        return argument.name
    if isinstance(argument, Tensor):
        values = array(_without_batch(argument))
        return graph.weight(values.astype(np.float32) if values.dtype.kind == "f" else values)
    if isinstance(argument, int | float):
        return graph.weight(np.array(argument, np.float32))
    raise TypeError(f"{argument!r} is no tensor")


def _without_batch(constant: Tensor) -> Tensor:
    """Return what fits any number of images of a constant that was made as long as the trial's batch."""
    same = constant.ndim > 1 and len(constant) == BATCH and bool((constant == constant[:1]).all())
    return constant[:1] if same else constant


def per_image(graph: GraphBuilder, constant: Tensor) -> str:
    """Add a constant that is repeated for each image of the batch, as a class token is.

    Raises:
        ValueError: it is not the same for each image.
    """
    values = array(_without_batch(constant))
    if len(values) != 1:
        raise ValueError("a constant that differs from image to image")
    length = graph.node("Gather", [graph.node("Shape", [INPUT_NAME]), integers(graph, [0])], axis=0)
    shape = graph.node("Concat", [length, integers(graph, values.shape[1:])], axis=0)
    return graph.node("Expand", [graph.weight(values.astype(np.float32)), shape])


def integers(graph: GraphBuilder, values: Sequence[int]) -> str:
    """Add a list of integers as a constant and return its name."""
    return graph.weight(np.asarray(values, np.int64))


def pair(value: Any) -> list[int]:
    """Return both numbers of a size that may be given as one."""
    return [int(value)] * 2 if isinstance(value, int) else [int(v) for v in value] * (2 // len(value))


def axis_of(axis: int, value: Value) -> int:
    """Return an axis counted from the front."""
    return axis % len(value.shape)


def refuse(call: Call, why: str) -> ModelError:
    """Return the error that says what cannot be written, and where it is."""
    return ModelError(f"Cannot export {call.name}: {why}.")
