"""How each torch operation is written in ONNX, by sort. A new one is a function and an entry of a table."""

from typing import Any

from torch import nn

from slimcast.export.operators.activations import ACTIVATIONS
from slimcast.export.operators.arithmetic import ARITHMETIC
from slimcast.export.operators.lowbit_layers import LOWBIT
from slimcast.export.operators.pooling import POOLING
from slimcast.export.operators.quanto import QUANTO
from slimcast.export.operators.shapes import SHAPES
from slimcast.export.operators.weighted import WEIGHTED
from slimcast.export.operators.writing import Writer

_WRITERS: dict[Any, Writer] = WEIGHTED | LOWBIT | QUANTO | POOLING | ACTIVATIONS | ARITHMETIC | SHAPES


def writer_of(kind: Any) -> Writer | None:
    """Return how a module's type, a function or a tensor's method is written; None when it is not known.

    A subclass is written as its base when it computes the same: when it has the base's own `forward`.
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        return _WRITERS.get(kind)
    for base in kind.__mro__:
        if base in _WRITERS:
            return _WRITERS[base] if kind.forward is base.forward else None  # type: ignore[attr-defined]
    return None
