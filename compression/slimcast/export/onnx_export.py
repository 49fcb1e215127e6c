"""Write a torch network as an ONNX graph: uint8 image in, logits out, batch norms folded.

Written from the network's own trace rather than by `torch.onnx.export`: that takes 5 to 40 seconds a
network on a
small machine, and its files carry traces and names that change from version to version. This takes
milliseconds,
and the same weights give the same bytes.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from torch import fx, nn

from slimcast.errors import ModelError, StepError
from slimcast.export.graph import GraphBuilder
from slimcast.export.operators import writer_of
from slimcast.export.trace import Call, Trace, Value
from slimcast.export.tracer import trace
from slimcast.measure.cost import count_exported_parameters
from slimcast.measure.files import weights_by_kind
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
    traced = trace(model, (size.channels, size.height, size.width), _is_one_operation)
    graph = GraphBuilder()
    image = traced.image
    values: dict[fx.Node, Any] = {
        image: Value(
            name=_normalise(graph, mean, std), shape=traced.shapes[image], readers=traced.readers(image)
        )
    }
    for node, call in traced.calls(values):
        values[node] = _write(graph, call, traced.readers(node))
    last = values[traced.logits].name
    if not graph.ends_with(last):
        last = graph.node("Identity", [last])
    graph.rename_output(last, OUTPUT_NAME)
    pixels = helper.make_tensor_value_info(
        INPUT_NAME, TensorProto.UINT8, ["N", size.height, size.width, size.channels]
    )
    logits = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["N", classes])
    proto = graph.model([pixels], [logits])
    _check(proto, model, traced)
    return proto


def _is_one_operation(module: nn.Module) -> bool:
    return writer_of(type(module)) is not None


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


def _write(graph: GraphBuilder, call: Call, readers: int) -> Any:
    """Add a call to the graph, and return its value; a tuple of them where it has several results."""
    writer = writer_of(call.kind)
    what = call.kind if isinstance(call.kind, str) else getattr(call.kind, "__name__", str(call.kind))
    if writer is None and call.passes:
        return call.args[0]
    if writer is None:
        raise ModelError(f"Cannot export {what} ({call.name}): add it to slimcast/export/operators.")
    try:
        names = writer(graph, call)
    except (AttributeError, IndexError, TypeError, ValueError) as error:  # arguments that no writer expects
        raise ModelError(f"Cannot export {what} ({call.name}) as it is called here: {error}") from error
    if isinstance(names, str):
        return Value(name=names, shape=call.shape, readers=readers)
    shapes = zip(names, call.shape, strict=True)
    return tuple(Value(name=name, shape=shape, readers=readers) for name, shape in shapes)  # type: ignore[arg-type]


def _check(proto: onnx.ModelProto, model: nn.Module, traced: Trace) -> None:
    onnx.checker.check_model(proto, full_check=True)
    # A MatMul's weights stand the other way round than those of all others.
    sizes = [(w.size, w.shape[-1 if kind == "MatMul" else 0]) for kind, w in weights_by_kind(proto)]
    stored = sum(size + outputs for size, outputs in sizes)
    layers = [model.get_submodule(name) for name in traced.owners()]
    weighted = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)]
    expected = sum(count_exported_parameters(layer) for layer in weighted)
    # A network may multiply by a bare parameter of its own, which is no layer that could be counted.
    if stored != expected and not (stored > expected and traced.bare_parameters(model)):
        raise StepError(f"The exported file holds {stored} weights and biases, the network has {expected}.")
