"""Operations with weights: convolutions, linear layers, norms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.writing import Writer, array, integers, name_of, pair, refuse
from slimcast.export.trace import Call, Value


@dataclass(frozen=True, kw_only=True)
class ConvCall:
    """A convolution as it is called, weights (O, I / groups, kh, kw)."""

    weight: Tensor
    bias: Tensor | None
    stride: Any
    padding: Any
    dilation: Any
    groups: int


def conv_of(call: Call) -> ConvCall:
    """Return the convolution that a module or a function does.

    Raises:
        ModelError: its padding or its weights cannot be written.
    """
    if isinstance(call.module, nn.Conv2d):
        m = call.module
        if m.padding_mode != "zeros":
            raise refuse(call, f"its padding is {m.padding_mode}, only zeros are known")
        return ConvCall(
            weight=m.weight,
            bias=m.bias,
            stride=m.stride,
            padding=m.padding,
            dilation=m.dilation,
            groups=m.groups,
        )
    names = (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
    found = {name: call.argument(3 + index, name, default) for index, (name, default) in enumerate(names)}
    weight = call.argument(1, "weight")
    if not isinstance(weight, Tensor):
        raise refuse(call, "a convolution whose weights depend on the image")
    return ConvCall(weight=weight, bias=call.argument(2, "bias"), **found)


def _conv(graph: GraphBuilder, call: Call) -> str:
    found = conv_of(call)
    return write_conv(graph, call, found, [call.argument(0, "input").name, graph.weight(array(found.weight))])


def write_conv(graph: GraphBuilder, call: Call, found: ConvCall, inputs: list[str]) -> str:
    """Write a convolution of inputs and weights that have names already; the bias is added."""
    kernel, dilations = list(found.weight.shape[2:]), pair(found.dilation)
    return graph.node(
        "Conv",
        inputs + ([] if found.bias is None else [graph.weight(array(found.bias))]),
        name=call.name,
        kernel_shape=kernel,
        strides=pair(found.stride),
        pads=_pads(found.padding, kernel, dilations),
        dilations=dilations,
        group=found.groups,
    )


def _pads(padding: Any, kernel: list[int], dilations: list[int]) -> list[int]:
    """Return top, left, bottom, right."""
    if padding == "same":
        whole = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        before = [side // 2 for side in whole]
        return before + [side - first for side, first in zip(whole, before, strict=True)]
    return pair(0 if padding == "valid" else padding) * 2


def _linear(graph: GraphBuilder, call: Call) -> str:
    if isinstance(call.module, nn.Linear):
        weight, bias = call.module.weight, call.module.bias
    else:
        weight, bias = call.argument(1, "weight"), call.argument(2, "bias")
    if not isinstance(weight, Tensor):
        raise refuse(call, "a linear layer whose weights depend on the image")
    value: Value = call.argument(0, "input")
    is_matrix = len(value.shape) == 2
    name = graph.weight(array(weight) if is_matrix else array(weight).T)
    return write_linear(graph, call, [value.name, name], bias, is_matrix=is_matrix)


def write_linear(
    graph: GraphBuilder, call: Call, inputs: list[str], bias: Tensor | None, *, is_matrix: bool
) -> str:
    """Write a linear layer of inputs and weights that have names already; the bias is added.

    Args:
        graph: it is written to. call: names it. bias: (O,).
        inputs: names of the values and of the weights, (O, I) for a matrix of values, else (I, O).
        is_matrix: whether the values are (N, I), not (N, ..., I).
    """
    added = [] if bias is None else [graph.weight(array(bias))]
    if is_matrix:
        return graph.node("Gemm", inputs + added, name=call.name, transB=1)
    out = graph.node("MatMul", inputs, name=call.name)
    return graph.node("Add", [out, *added]) if added else out


def write_batch_norm(graph: GraphBuilder, call: Call) -> str:
    """Write a norm with fixed statistics: into the layer before it, or as a product and a sum."""
    if isinstance(call.module, nn.modules.batchnorm._BatchNorm):
        m = call.module
        numbers = (m.running_mean, m.running_var, m.weight, m.bias)
        epsilon = m.eps
    else:
        places = enumerate(("running_mean", "running_var", "weight", "bias"), 1)
        numbers = tuple(call.argument(index, name) for index, name in places)
        epsilon = call.argument(7, "eps", 1e-5)
    mean, variance = numbers[:2]
    if mean is None or variance is None:
        raise refuse(call, "a batch norm without running statistics")
    scale = 1 / np.sqrt(array(variance).astype(np.float64) + epsilon)
    scale *= 1 if numbers[2] is None else array(numbers[2])
    shift = -array(mean) * scale + (0 if numbers[3] is None else array(numbers[3]))
    value: Value = call.argument(0, "input")
    return _fold(graph, value, scale, shift) or _scale(graph, call, value, scale, shift)


def _fold(graph: GraphBuilder, value: Value, scale: np.ndarray, shift: np.ndarray) -> str | None:
    """Put a norm into the convolution or linear layer whose output nobody else reads; None: there is none."""
    node = graph.producer(value.name)
    if node is None or node.op_type not in {"Conv", "Gemm"} or value.readers != 1:
        return None
    bias = graph.constant(node.input[2]) if len(node.input) > 2 else np.zeros(len(scale))
    if bias is None or not graph.scale_outputs(node.input[1], scale):
        return None
    folded = (bias * scale + shift).astype(np.float32)
    if len(node.input) > 2:
        graph.replace_constant(node.input[2], folded)
    else:
        node.input.append(graph.weight(folded))
    return value.name


def _scale(graph: GraphBuilder, call: Call, value: Value, scale: np.ndarray, shift: np.ndarray) -> str:
    """Write a norm that nothing can take in: as in DenseNet, where it stands before its convolution."""
    shape = (1, -1) + (1,) * (len(value.shape) - 2)
    factor = graph.weight(scale.astype(np.float32).reshape(shape))
    out = graph.node("Mul", [value.name, factor], name=f"{call.name}.scale")
    return graph.node(
        "Add", [out, graph.weight(shift.astype(np.float32).reshape(shape))], name=f"{call.name}.shift"
    )


def _layer_norm(graph: GraphBuilder, call: Call) -> str:
    if isinstance(call.module, nn.LayerNorm):
        m = call.module
        sides, weight, bias, epsilon = m.normalized_shape, m.weight, m.bias, m.eps
    else:
        sides, weight, bias = (
            call.argument(i, n) for i, n in enumerate(("normalized_shape", "weight", "bias"), 1)
        )
        epsilon = call.argument(4, "eps", 1e-5)
    weight = torch.ones(tuple(sides)) if weight is None else weight
    numbers = [name_of(graph, weight)] + ([] if bias is None else [name_of(graph, bias)])
    return graph.node(
        "LayerNormalization",
        [call.argument(0, "input").name, *numbers],
        name=call.name,
        axis=-len(sides),
        epsilon=epsilon,
    )


def _group_norm(graph: GraphBuilder, call: Call) -> str:
    """Write the norm of each group as that of one channel, then the scale and shift of each channel."""
    if isinstance(call.module, nn.GroupNorm):
        m = call.module
        groups, weight, bias, epsilon = m.num_groups, m.weight, m.bias, m.eps
    else:
        groups, weight, bias = (
            call.argument(i, n) for i, n in enumerate(("num_groups", "weight", "bias"), 1)
        )
        epsilon = call.argument(4, "eps", 1e-5)
    value: Value = call.argument(0, "input")
    out = graph.node("Reshape", [value.name, integers(graph, [0, groups, -1])])
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    given = [out, graph.weight(ones), graph.weight(zeros)]
    out = graph.node("InstanceNormalization", given, name=call.name, epsilon=epsilon)
    out = graph.node("Reshape", [out, integers(graph, [0, *value.shape[1:]])])
    shape = (1, -1) + (1,) * (len(value.shape) - 2)
    for kind, numbers in (("Mul", weight), ("Add", bias)):
        if numbers is not None:
            out = graph.node(kind, [out, graph.weight(array(numbers).reshape(shape))])
    return out


WEIGHTED: dict[Any, Writer] = {
    nn.Conv2d: _conv,
    F.conv2d: _conv,
    nn.Linear: _linear,
    F.linear: _linear,
    nn.BatchNorm2d: write_batch_norm,
    nn.BatchNorm1d: write_batch_norm,
    F.batch_norm: write_batch_norm,
    nn.LayerNorm: _layer_norm,
    F.layer_norm: _layer_norm,
    nn.GroupNorm: _group_norm,
    F.group_norm: _group_norm,
}
"""By the module's type or the function."""
