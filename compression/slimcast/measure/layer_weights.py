"""The weights with which an artifact really computes, whatever form they are stored in."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from slimcast_edge.artifact import NumericKind
from slimcast_edge.artifact_file import check_file
from slimcast_edge.errors import RuntimeFailure
from slimcast_edge.runtime.onnx import PROVIDER, session_options

_WEIGHTED = {"Conv", "Gemm", "MatMul"}


def float_layers(content: bytes) -> set[str]:
    """Return the names of convolutions and linear layers whose weights an artifact stores in float32."""
    graph = onnx.load_from_string(content).graph
    floats = {item.name for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT}
    return {node.name for node in graph.node if node.op_type in _WEIGHTED and node.input[1] in floats}


def layer_weights(content: bytes) -> dict[str, np.ndarray]:
    """Return the weights of each convolution and linear layer as floats, by the layer's name.

    Integers, four bits, one bit: the runtime itself is asked to unpack them, so nothing here knows how they
    are packed. Layers whose weights are no constant are left out.

    Args:
        content: an artifact.

    Raises:
        ArtifactError: the file is none.
        RuntimeFailure: the runtime cannot open it.
    """
    check_file(content)
    with tempfile.TemporaryDirectory(prefix="slimcast-") as name:
        path = Path(name) / "unpacked.onnx"
        options = session_options(1, NumericKind.WEIGHT_ONLY)
        # Constants are folded, and nothing is fused: layers keep their names.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(content, options, providers=[PROVIDER])
        except Exception as error:  # onnxruntime's own exceptions have no common base below Exception
            raise RuntimeFailure(f"ONNX Runtime cannot unpack the weights: {error}") from error
        graph = onnx.load(path).graph
    stored = {item.name: item for item in graph.initializer}
    # A processor without 16-bit kernels casts such weights at each call.
    cast = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    layers = [node for node in graph.node if node.op_type in _WEIGHTED and node.name]
    sources = {node.name: cast.get(node.input[1], node.input[1]) for node in layers}
    return {
        name: numpy_helper.to_array(stored[source]).astype(np.float32)
        for name, source in sources.items()
        if source in stored
    }
