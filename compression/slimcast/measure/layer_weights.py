"""The weights with which an artifact really computes, whatever form they are stored in."""

import numpy as np
import onnx

from slimcast.measure.constants import Constants
from slimcast_edge.artifact_file import check_file

_WEIGHTED = {"Conv", "Gemm", "MatMul"}


def float_layers(content: bytes) -> set[str]:
    """Return the names of convolutions and linear layers whose weights an artifact stores in float32."""
    graph = onnx.load_from_string(content).graph
    floats = {item.name for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT}
    return {node.name for node in graph.node if node.op_type in _WEIGHTED and node.input[1] in floats}


def layer_weights(content: bytes) -> dict[str, np.ndarray]:
    """Return the weights of each convolution and linear layer as floats, by the layer's name.

    Layers whose weights are no constant, or have no name, are left out.

    Args:
        content: an artifact.

    Raises:
        ArtifactError: the file is none.
    """
    check_file(content)
    model = onnx.load_from_string(content)
    constants = Constants(model)
    layers = [node for node in model.graph.node if node.op_type in _WEIGHTED and node.name]
    found = {node.name: constants.value(node.input[1]) for node in layers}
    return {name: weight.astype(np.float32) for name, weight in found.items() if weight is not None}
