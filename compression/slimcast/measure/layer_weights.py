"""The weights with which an artifact really computes, whatever form they are stored in."""

from dataclasses import dataclass

import numpy as np
import onnx

from slimcast.measure.constants import Constants
from slimcast_edge.artifact_file import check_file

_WEIGHTED = {"Conv", "Gemm", "MatMul"}
_BITS = {"FLOAT": 32, "DOUBLE": 64, "FLOAT16": 16, "BFLOAT16": 16, "INT8": 8, "UINT8": 8, "INT4": 4,
         "UINT4": 4, "INT2": 2, "UINT2": 2, "INT16": 16, "INT32": 32, "INT64": 64}  # fmt: skip
_FLOAT8_BITS = 8


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """A convolution or linear layer as an artifact stores it.

    Attributes:
        outputs: its output channels. weights: how many, without biases.
        sparsity: share of them that is zero, 0..1.
        bits: that each takes in the file, on average.
    """

    name: str
    outputs: int
    weights: int
    sparsity: float
    bits: float


def float_layers(content: bytes) -> set[str]:
    """Return the names of convolutions and linear layers whose weights an artifact stores in float32."""
    graph = onnx.load_from_string(content).graph
    floats = {item.name for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT}
    return {node.name for node in graph.node if node.op_type in _WEIGHTED and node.input[1] in floats}


def layer_facts(content: bytes) -> list[LayerFacts]:
    """Return what is known of each convolution and linear layer, in the order of the graph.

    Raises:
        ArtifactError: the file is none.
    """
    values = layer_weights(content)
    graph = onnx.load_from_string(content).graph
    stored = {item.name: item for item in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    found = []
    for node in graph.node:
        if node.op_type in _WEIGHTED and node.name in values:
            weights = values[node.name]
            found.append(
                LayerFacts(
                    name=node.name,
                    outputs=weights.shape[_output_axis(node)],
                    weights=weights.size,
                    sparsity=float(np.mean(weights == 0)),
                    bits=_stored_bits(node.input[1], stored, makers) / weights.size,
                )
            )
    return found


def _output_axis(node: onnx.NodeProto) -> int:
    turned = node.op_type == "Gemm" and any(item.name == "transB" and item.i for item in node.attribute)
    return 0 if node.op_type == "Conv" or turned else -1


def _stored_bits(name: str, stored: dict[str, onnx.TensorProto], makers: dict[str, onnx.NodeProto]) -> int:
    """Return the bits of the largest constant that a value is unpacked from: weights, not scales."""
    if name in stored:
        kind = onnx.TensorProto.DataType.Name(stored[name].data_type)
        return int(np.prod(stored[name].dims)) * _BITS.get(kind, _FLOAT8_BITS)
    node = makers.get(name)
    return 0 if node is None else max((_stored_bits(i, stored, makers) for i in node.input), default=0)


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
