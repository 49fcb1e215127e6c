"""Sums, products and products of matrices, of values and of constants."""

import math
import operator
from typing import Any

import torch
from torch.nn import functional as F

from slimcast.export.graph import GraphBuilder
from slimcast.export.operators.writing import Writer, name_of, refuse
from slimcast.export.trace import Call, Value


def _binary(kind: str) -> Writer:
    def write(graph: GraphBuilder, call: Call) -> str:
        if call.kwargs.get("alpha", 1) != 1 or call.kwargs.get("rounding_mode") is not None:
            raise refuse(call, f"{kind} with {call.kwargs}")
        return graph.node(kind, [name_of(graph, argument) for argument in call.args[:2]])

    return write


def _negative(graph: GraphBuilder, call: Call) -> str:
    return graph.node("Neg", [call.args[0].name])


def _power(graph: GraphBuilder, call: Call) -> str:
    return graph.node("Pow", [name_of(graph, argument) for argument in call.args[:2]])


def _root(graph: GraphBuilder, call: Call) -> str:
    return graph.node("Sqrt", [call.args[0].name])


def _attention(graph: GraphBuilder, call: Call) -> str:
    """Write softmax(Q K^T / sqrt(d)) V; each (N, heads, tokens, d)."""
    query, key, value = (call.argument(i, n) for i, n in enumerate(("query", "key", "value")))
    if call.argument(3, "attn_mask") is not None or call.argument(5, "is_causal", False):
        raise refuse(call, "attention with a mask")
    if not all(isinstance(item, Value) for item in (query, key, value)):
        raise refuse(call, "attention to constants")
    scale = call.kwargs.get("scale") or 1 / math.sqrt(query.shape[-1])
    order = [*range(len(key.shape) - 2), len(key.shape) - 1, len(key.shape) - 2]
    keys = graph.node("Transpose", [key.name], perm=order)
    scores = graph.node("MatMul", [graph.node("Mul", [query.name, name_of(graph, scale)]), keys])
    return graph.node("MatMul", [graph.node("Softmax", [scores], axis=-1), value.name])


_WRITERS: list[tuple[Writer, tuple[Any, ...]]] = [
    (_binary("Add"), (operator.add, operator.iadd, torch.add, "add", "add_")),
    (_binary("Sub"), (operator.sub, operator.isub, torch.sub, "sub", "sub_")),
    (_binary("Mul"), (operator.mul, operator.imul, torch.mul, "mul", "mul_")),
    (_binary("Div"), (operator.truediv, operator.itruediv, torch.div, "div", "div_")),
    (_binary("MatMul"), (operator.matmul, torch.matmul, torch.bmm, "matmul")),
    (_negative, (operator.neg, torch.neg, "neg")),
    (_power, (operator.pow, torch.pow, "pow")),
    (_root, (torch.sqrt, "sqrt")),
    (_attention, (F.scaled_dot_product_attention,)),
]

ARITHMETIC: dict[Any, Writer] = {kind: writer for writer, kinds in _WRITERS for kind in kinds}
"""By the function or the tensor's method."""
