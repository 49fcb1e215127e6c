"""Functions of single values, and softmax."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.writing import Writer
from slimcast.export.trace import Call


def _setting(call: Call, index: int, name: str, default: Any) -> Any:
    if call.module is not None:
        return getattr(call.module, name, default)
    return call.argument(index, name, default)


def _plain(kind: str, **attributes: Any) -> Writer:
    """Return the writer of a function that ONNX has."""

    def write(graph: GraphBuilder, call: Call) -> str:
        return graph.node(kind, [call.args[0].name], **attributes)

    return write


def _clip(low: float, high: float) -> Writer:
    def write(graph: GraphBuilder, call: Call) -> str:
        bounds = [_setting(call, 1, "min_val", low), _setting(call, 2, "max_val", high)]
        return _clipped(graph, call.args[0].name, bounds)

    return write


def _relu6(graph: GraphBuilder, call: Call) -> str:
    return _clipped(graph, call.args[0].name, [0, 6])


def _clamp(graph: GraphBuilder, call: Call) -> str:
    return _clipped(graph, call.args[0].name, [call.argument(1, "min"), call.argument(2, "max")])


def _clipped(graph: GraphBuilder, value: str, bounds: list[float | None]) -> str:
    names = ["" if bound is None else graph.weight(np.array(bound, np.float32)) for bound in bounds]
    return graph.node("Clip", [value, *names])


def _leaky_relu(graph: GraphBuilder, call: Call) -> str:
    slope = float(_setting(call, 1, "negative_slope", 0.01))
    return graph.node("LeakyRelu", [call.args[0].name], alpha=slope)


def _elu(graph: GraphBuilder, call: Call) -> str:
    return graph.node("Elu", [call.args[0].name], alpha=float(_setting(call, 1, "alpha", 1.0)))


def _times_itself(make: Callable[[GraphBuilder, str], str]) -> Writer:
    """Return the writer of a function of the form x * f(x)."""

    def write(graph: GraphBuilder, call: Call) -> str:
        value = call.args[0].name
        return graph.node("Mul", [value, make(graph, value)])

    return write


def _sigmoid(graph: GraphBuilder, value: str) -> str:
    return graph.node("Sigmoid", [value])


def _mish(graph: GraphBuilder, value: str) -> str:
    return graph.node("Tanh", [graph.node("Softplus", [value])])


def _gelu(graph: GraphBuilder, call: Call) -> str:
    """Write x / 2 * (1 + erf(x / sqrt 2)), or the approximation by tanh (Hendrycks and Gimpel 2016)."""
    value = call.args[0].name

    def number(constant: float) -> str:
        return graph.weight(np.array(constant, np.float32))

    if _setting(call, 1, "approximate", "none") == "tanh":
        cube = graph.node("Mul", [graph.node("Mul", [value, value]), value])
        inner = graph.node("Add", [value, graph.node("Mul", [cube, number(0.044715)])])
        curve = graph.node("Tanh", [graph.node("Mul", [inner, number(math.sqrt(2 / math.pi))])])
    else:
        curve = graph.node("Erf", [graph.node("Div", [value, number(math.sqrt(2))])])
    out = graph.node("Mul", [value, graph.node("Add", [curve, number(1)])])
    return graph.node("Mul", [out, number(0.5)])


def _softmax(graph: GraphBuilder, call: Call) -> str:
    return graph.node("Softmax", [call.args[0].name], axis=int(_setting(call, 1, "dim", -1)))


_WRITERS: list[tuple[Writer, tuple[Any, ...]]] = [
    (_plain("Relu"), (nn.ReLU, F.relu, torch.relu, "relu", "relu_")),
    (_relu6, (nn.ReLU6, F.relu6)),
    (_clip(-1.0, 1.0), (nn.Hardtanh, F.hardtanh)),
    (_clamp, (torch.clamp, "clamp", "clamp_")),
    (_plain("Sigmoid"), (nn.Sigmoid, F.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_")),
    (_plain("Tanh"), (nn.Tanh, F.tanh, torch.tanh, "tanh")),
    (_plain("HardSigmoid", alpha=1 / 6, beta=0.5), (nn.Hardsigmoid, F.hardsigmoid)),
    (_plain("HardSwish"), (nn.Hardswish, F.hardswish)),
    (_times_itself(_sigmoid), (nn.SiLU, F.silu)),
    (_times_itself(_mish), (nn.Mish, F.mish)),
    (_gelu, (nn.GELU, F.gelu)),
    (_leaky_relu, (nn.LeakyReLU, F.leaky_relu)),
    (_elu, (nn.ELU, F.elu)),
    (_softmax, (nn.Softmax, F.softmax, torch.softmax, "softmax")),
]

ACTIVATIONS: dict[Any, Writer] = {kind: writer for writer, kinds in _WRITERS for kind in kinds}
"""By the module's type, the function, or the tensor's method."""
