"""Collects the nodes and weights of an ONNX graph, with short names that follow from their order."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# Old enough for every onnxruntime that a camera may have (>= 1.20), new enough for all that is used here.
OPSET = 17
IR_VERSION = 8


class GraphBuilder:
    """Nodes in the order in which they run."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def node(
        self, kind: str, inputs: list[str], *, name: str = "", output: str = "", **attributes: Any
    ) -> str:
        """Add a node and return the name of its output."""
        output = output or f"t{len(self._nodes)}"
        # The quantizer knows nodes by their names, so each has one.
        name = name or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def weight(self, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def rename_output(self, old: str, new: str) -> None:
        """Give the output of the last node its public name."""
        last = self._nodes[-1]
        if last.output[0] != old:
            raise ValueError(f"{old!r} is not made by the last node")
        last.output[0] = new

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """Return the finished model."""
        graph = helper.make_graph(self._nodes, "slimcast", inputs, outputs, self._weights)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="slimcast")
