"""Write a torch network as an ONNX graph: uint8 image in, logits out, batch norms folded.

Written from the network's own trace rather than by `torch.onnx.export`: that takes 5 to 40 seconds a
network on a
small machine, and its files carry traces and names that change from version to version. This takes
milliseconds,
and the same weights give the same bytes.
"""

import copy
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from slimcast.errors import ModelError, StepError
from slimcast.export.graph import GraphBuilder
from slimcast.export.operators import FUNCTIONS, writer_of
from slimcast.measure.cost import count_exported_parameters
from slimcast.measure.files import weights_of
from slimcast_edge.artifact import INPUT_NAME, OUTPUT_NAME, InputSpec

NORMALISE = "normalise"
"""Prefix of the names of the nodes that make float pixels of uint8 ones."""


def export_onnx(
    model: nn.Module, *, size: InputSpec, mean: tuple[float, ...], std: tuple[float, ...], classes: int
) -> onnx.ModelProto:
    """Return the network as ONNX; `model` is left as it is.

    Args:
        size: of the input `image`, uint8 (N, H, W, C).
        mean, std: of each channel, pixels taken as 0..1.

    Raises:
        ModelError: the network does something that cannot be written.
        StepError: the file does not hold what the network holds.
    """
    traced = folded(model)
    graph = GraphBuilder()
    values = {"": _normalise(graph, mean, std)}
    modules = dict(traced.named_modules())
    last = ""
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            values[node.name] = values[""]
        elif node.op == "output":
            last = values[node.args[0].name]
        else:
            values[node.name] = _write(graph, node, modules, values)
    graph.rename_output(last, OUTPUT_NAME)
    image = helper.make_tensor_value_info(
        INPUT_NAME, TensorProto.UINT8, ["N", size.height, size.width, size.channels]
    )
    logits = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["N", classes])
    proto = graph.model([image], [logits])
    _check(proto, traced)
    return proto


class _Tracer(fx.Tracer):
    """Keeps modules whole that have a writer, subclasses that compute the same included."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return writer_of(m) is not None or super().is_leaf_module(m, module_qualified_name)


def folded(model: nn.Module) -> fx.GraphModule:
    """Return a traced copy in evaluation mode, each batch norm folded into the convolution before it."""
    try:
        network = copy.deepcopy(model).cpu().eval()
        traced = fx.GraphModule(network, _Tracer().trace(network))
    except (TypeError, fx.proxy.TraceError) as error:
        raise ModelError(f"The network cannot be traced for export: {error}") from error
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        source = node.args[0]
        conv = modules.get(str(source.target)) if source.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or len(source.users) != 1:
            raise ModelError(f"Cannot export {node.target}: a batch norm that does not follow a convolution.")
        traced.set_submodule(source.target, fuse_conv_bn_eval(conv, norm))
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _normalise(graph: GraphBuilder, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    shape = (1, len(mean), 1, 1)
    deviation = np.asarray(std, np.float64).reshape(shape)
    scale = 1 / (255 * deviation)
    shift = -np.asarray(mean, np.float64).reshape(shape) / deviation
    # Transposed while a pixel still is one byte. (N, H, W, C) -> (N, C, H, W)
    pixels = graph.node("Transpose", [INPUT_NAME], name=f"{NORMALISE}.transpose", perm=[0, 3, 1, 2])
    pixels = graph.node("Cast", [pixels], name=f"{NORMALISE}.cast", to=TensorProto.FLOAT)
    pixels = graph.node("Mul", [pixels, graph.weight(scale.astype(np.float32))], name=f"{NORMALISE}.scale")
    return graph.node("Add", [pixels, graph.weight(shift.astype(np.float32))], name=f"{NORMALISE}.shift")


def _write(graph: GraphBuilder, node: fx.Node, modules: dict[str, nn.Module], values: dict[str, str]) -> str:
    inputs = [values[argument.name] for argument in node.args if isinstance(argument, fx.Node)]
    if node.op == "call_module":
        module = modules[str(node.target)]
        parameter: Any = module
        writer = writer_of(module)
        what = type(module).__name__
    else:
        writer = FUNCTIONS.get(node.target)
        parameter = next((argument for argument in node.args[1:] if not isinstance(argument, fx.Node)), None)
        what = str(getattr(node.target, "__name__", node.target))
    if writer is None or not inputs:
        raise ModelError(f"Cannot export {what} ({node.target}): add it to slimcast/export/operators.py.")
    return writer(graph, parameter, inputs, str(node.target))


def _check(proto: onnx.ModelProto, traced: nn.Module) -> None:
    onnx.checker.check_model(proto, full_check=True)
    stored = sum(weight.size + weight.shape[0] for weight in weights_of(proto))
    expected = count_exported_parameters(traced)
    if stored != expected:
        raise StepError(f"The exported file holds {stored} weights and biases, the network has {expected}.")
