"""What all writers of operations share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from slimcast.errors import ModelError
from slimcast.export.graph import GraphBuilder
from slimcast.export.trace import Call, Value

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
        values = array(argument)
        return graph.weight(values.astype(np.float32) if values.dtype.kind == "f" else values)
    if isinstance(argument, int | float):
        return graph.weight(np.array(argument, np.float32))
    raise TypeError(f"{argument!r} is no tensor")


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
