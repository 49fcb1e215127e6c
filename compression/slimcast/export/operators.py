"""How each torch operation is written in ONNX. A new one is a function and an entry of a table below."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from slimcast.errors import ModelError
from slimcast.export.graph import GraphBuilder

Writer = Callable[[GraphBuilder, Any, list[str], str], str]


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value, value] if isinstance(value, int) else [int(v) for v in value]


def _conv(graph: GraphBuilder, module: nn.Conv2d, inputs: list[str], name: str) -> str:
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise ModelError(f"Cannot export {name}: its padding is {module.padding!r}, {module.padding_mode}.")
    weights = [graph.weight(_array(module.weight))]
    if module.bias is not None:
        weights.append(graph.weight(_array(module.bias)))
    return graph.node(
        "Conv",
        inputs + weights,
        name=name,
        kernel_shape=list(module.kernel_size),
        strides=list(module.stride),
        pads=_pair(module.padding) * 2,
        dilations=list(module.dilation),
        group=module.groups,
    )


def _linear(graph: GraphBuilder, module: nn.Linear, inputs: list[str], name: str) -> str:
    weights = [graph.weight(_array(module.weight))]
    if module.bias is not None:
        weights.append(graph.weight(_array(module.bias)))
    return graph.node("Gemm", inputs + weights, name=name, transB=1)


def _relu(graph: GraphBuilder, _module: Any, inputs: list[str], _name: str) -> str:
    return graph.node("Relu", inputs)


def _relu6(graph: GraphBuilder, _module: Any, inputs: list[str], _name: str) -> str:
    bounds = [graph.weight(np.array(value, np.float32)) for value in (0, 6)]
    return graph.node("Clip", inputs + bounds)


def _max_pool(graph: GraphBuilder, module: nn.MaxPool2d, inputs: list[str], _name: str) -> str:
    return graph.node("MaxPool", inputs, **_window(module), ceil_mode=int(module.ceil_mode))


def _avg_pool(graph: GraphBuilder, module: nn.AvgPool2d, inputs: list[str], _name: str) -> str:
    return graph.node(
        "AveragePool",
        inputs,
        **_window(module),
        ceil_mode=int(module.ceil_mode),
        count_include_pad=int(module.count_include_pad),
    )


def _window(module: nn.MaxPool2d | nn.AvgPool2d) -> dict[str, Any]:
    strides = module.kernel_size if module.stride is None else module.stride
    return {
        "kernel_shape": _pair(module.kernel_size),
        "strides": _pair(strides),
        "pads": _pair(module.padding) * 2,
    }


def _global_pool(graph: GraphBuilder, module: Any, inputs: list[str], name: str) -> str:
    size = module.output_size if isinstance(module, nn.Module) else module
    if size not in (1, (1, 1)):
        raise ModelError(f"Cannot export {name}: adaptive pooling to {size}, only to 1 is known.")
    return graph.node("GlobalAveragePool", inputs)


def _flatten(graph: GraphBuilder, _module: Any, inputs: list[str], _name: str) -> str:
    return graph.node("Flatten", inputs, axis=1)


def _nothing(_graph: GraphBuilder, _module: Any, inputs: list[str], _name: str) -> str:
    return inputs[0]


def _add(graph: GraphBuilder, _module: Any, inputs: list[str], _name: str) -> str:
    return graph.node("Add", inputs)


MODULES: dict[type[nn.Module], Writer] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.ReLU: _relu,
    nn.ReLU6: _relu6,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _global_pool,
    nn.Flatten: _flatten,
    nn.Dropout: _nothing,
    nn.Identity: _nothing,
}
"""Written by the module's type."""

FUNCTIONS: dict[Any, Writer] = {
    operator.add: _add,
    torch.add: _add,
    F.relu: _relu,
    F.relu6: _relu6,
    F.adaptive_avg_pool2d: _global_pool,
    torch.flatten: _flatten,
    "flatten": _flatten,
}
"""Written by the function that is called, or by the tensor's method."""


def writer_of(module: nn.Module) -> Writer | None:
    """Return how a module is written; None when it has to be traced into.

    A subclass is written as its base when it computes the same: when it has the base's own `forward`.
    """
    for kind in type(module).__mro__:
        if kind in MODULES:
            return MODULES[kind] if type(module).forward is kind.forward else None
    return None
