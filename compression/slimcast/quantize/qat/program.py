"""A network as a program of single operations, and which of them makes which value of its ONNX graph."""

import operator
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, fx, nn

from slimcast.errors import StepError
from slimcast.quantize.runs import values_of

_PIXELS = "normalise.shift"
_CLOSE = 1e-3  # of the largest value: kernels sum in another order
# What may make a value, by the kind of its node in the graph; norms are folded there.
_KINDS = {
    "Conv": {"conv2d", "batch_norm"},
    "Gemm": {"linear", "addmm", "batch_norm"},
    "MatMul": {"linear", "matmul", "bmm"},
    "Add": {"add", "linear", "batch_norm"},
    "Mul": {"mul"},
    "Relu": {"relu"},
    "Clip": {"hardtanh", "relu6", "clamp"},
    "Sigmoid": {"sigmoid"},
    "GlobalAveragePool": {"adaptive_avg_pool2d", "avg_pool2d", "mean"},
    "AveragePool": {"adaptive_avg_pool2d", "avg_pool2d"},
    "Concat": {"cat", "concat"},
}


def export_program(model: nn.Module, image: tuple[int, int, int], name: str) -> fx.GraphModule:
    """Return the program that a network runs outside of training, for any number of images of (C, H, W).

    It computes with the network's own parameters and buffers: who trains the one trains the other, on the
    CPU. Dropout and batch norms can be switched to training; stochastic depth is gone.

    Raises:
        StepError: torch cannot export the network.
    """
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]  # what others read must not change
    images = torch.zeros(2, *image)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own code
            batch = torch.export.Dim("images", min=1)
            exported = torch.export.export(model.eval(), (images,), dynamic_shapes=({0: batch},))
            program = exported.module(check_guards=False)
    except Exception as error:  # whatever the network's code and torch raise
        reason = str(error).strip().partition("\n")[0]
        raise StepError(
            f"Cannot train {name} with rounded numbers: torch.export fails on it ({type(error).__name__}: "
            f"{reason}). Use method static, which needs no such program."
        ) from error
    assert isinstance(program, fx.GraphModule)
    _split_silu(program)
    return program


def find_values(
    program: fx.GraphModule, graph: onnx.ModelProto, tensors: list[str], images: np.ndarray
) -> dict[str, fx.Node]:
    """Return the node of the program that makes each tensor of the graph, where it has one.

    Both are computed on a few images and what is equal belongs together: names and numbers of operations
    differ between the two, values do not. Among equal ones the kind of operation and the order decide.

    Args:
        program: outside of training. graph: the same network in float32.
        tensors: their names in the graph. images: uint8 (N, H, W, C).
    """
    pixels = next(node.output[0] for node in graph.graph.node if node.name == _PIXELS)
    wanted = values_of(graph, [pixels, *tensors], images)
    made = _values(program, torch.from_numpy(np.array(wanted[pixels])))
    left = dict(made)
    found: dict[str, fx.Node] = {}
    for node in graph.graph.node:
        for tensor in node.output:
            if tensor not in wanted or tensor == pixels:
                continue
            maker = next((m for m, v in left.items() if _fits(node, m) and _equal(v, wanted[tensor])), None)
            if maker is not None:
                found[tensor] = maker
                del left[maker]
    return found


def kind_of(node: fx.Node) -> str:
    """Return the name of an operation without its variant: ``relu`` for both of relu and relu_."""
    target: Any = node.target
    if node.op != "call_function" or target is operator.getitem:
        return ""
    return str(getattr(target, "__name__", target)).partition(".")[0].rstrip("_")


def _split_silu(program: fx.GraphModule) -> None:
    """Write x * sigmoid(x) in two operations, as the graph does: it rounds in between."""
    aten = torch.ops.aten
    for node in program.graph.nodes:
        if kind_of(node) != "silu":
            continue
        value = node.args[0]
        with program.graph.inserting_before(node):
            share = program.graph.call_function(aten.sigmoid.default, (value,))
            product = program.graph.call_function(aten.mul.Tensor, (value, share))
        for made in (share, product):
            made.meta = dict(node.meta)
        node.replace_all_uses_with(product)
        program.graph.erase_node(node)
    program.recompile()


def _fits(node: onnx.NodeProto, maker: fx.Node) -> bool:
    return node.op_type not in _KINDS or kind_of(maker) in _KINDS[node.op_type]


def _equal(value: np.ndarray, wanted: np.ndarray) -> bool:
    if value.size != wanted.size:
        return False
    difference = np.abs(value.ravel() - wanted.ravel()).max(initial=0.0)
    return bool(difference <= _CLOSE * np.abs(wanted).max(initial=0.0))


@torch.no_grad()
def _values(program: fx.GraphModule, pixels: Tensor) -> dict[fx.Node, np.ndarray]:
    values: dict[fx.Node, np.ndarray] = {}

    class Watch(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if n.op == "call_function" and isinstance(result, Tensor) and result.is_floating_point():
                values[n] = result.numpy().copy()
            return result

    Watch(program).run(pixels)
    return values


def parameter_of(node: fx.Node, place: int) -> str:
    """Return the name of the network's tensor that is an operation's argument; "" if it is none."""
    argument = node.args[place] if place < len(node.args) else None
    return str(argument.target) if isinstance(argument, fx.Node) and argument.op == "get_attr" else ""
