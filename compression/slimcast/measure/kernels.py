"""What ONNX Runtime really executes on this machine: its own graph after all of its optimizations."""

import tempfile
from pathlib import Path

import onnx
import onnxruntime

from slimcast.measure.files import integer_share
from slimcast_edge.artifact import NumericKind
from slimcast_edge.runtime.onnx import session_options
from slimcast_edge.runtime.providers import CPU


def executed_graph(model: onnx.ModelProto | bytes, kind: NumericKind = NumericKind.INT8) -> onnx.ModelProto:
    """Return the graph that the camera's runtime executes.

    Args:
        model: the graph, or its file.
        kind: of its numbers: decides the options with which it is opened.
    """
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with tempfile.TemporaryDirectory(prefix="slimcast-") as name:
        path = Path(name) / "executed.onnx"
        options = session_options(1, kind)
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(content, options, providers=[CPU])
        return onnx.load(path)


def integer_layers(content: bytes, kind: NumericKind) -> tuple[int, int]:
    """Return how many convolutions and linear layers run in integer kernels, and of how many."""
    return integer_share(executed_graph(content, kind))
