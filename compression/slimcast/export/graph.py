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
        self._weights: dict[str, np.ndarray] = {}
        self._names: set[str] = set()

    def node(
        self, kind: str, inputs: list[str], *, name: str = "", output: str = "", **attributes: Any
    ) -> str:
        """Add a node and return the name of its output."""
        return self.nodes(kind, inputs, name=name, outputs=[output or f"t{len(self._nodes)}"], **attributes)[
            0
        ]

    def nodes(
        self, kind: str, inputs: list[str], *, outputs: list[str] | int, name: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with so many outputs, or with outputs of these names, and return the names."""
        if isinstance(outputs, int):
            outputs = [f"t{len(self._nodes)}.{index}" for index in range(outputs)]
        # The quantizer knows nodes by their names, so each has one.
        name = name or f"n{len(self._nodes)}"
        if name in self._names:
            name = f"{name}.n{len(self._nodes)}"
        self._names.add(name)
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs

    def weight(self, values: np.ndarray) -> str:
        """Add a constant and return its name."""
        name = f"w{len(self._weights)}"
        self._weights[name] = values
        return name

    def producer(self, value: str) -> onnx.NodeProto | None:
        """Return the node that makes a value, if it is among the last few."""
        return next((node for node in reversed(self._nodes[-4:]) if value in node.output), None)

    def constant(self, name: str) -> np.ndarray | None:
        """Return a constant by its name; None if there is none."""
        return self._weights.get(name)

    def replace_constant(self, name: str, values: np.ndarray) -> None:
        """Give a constant other values."""
        self._weights[name] = values

    def ends_with(self, value: str) -> bool:
        """Return whether the last node makes this value, and nothing else."""
        return bool(self._nodes) and list(self._nodes[-1].output) == [value]

    def rename_output(self, old: str, new: str) -> None:
        """Give the output of the last node its public name."""
        last = self._nodes[-1]
        if last.output[0] != old:
            raise ValueError(f"{old!r} is not made by the last node")
        last.output[0] = new

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """Return the finished model."""
        weights = [
            numpy_helper.from_array(np.asarray(values, order="C"), name)
            for name, values in self._weights.items()
        ]
        graph = helper.make_graph(self._nodes, "slimcast", inputs, outputs, weights)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="slimcast")
