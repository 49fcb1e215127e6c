"""Collects the nodes and weights of an ONNX graph, with short names that follow from their order."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# Old enough for every onnxruntime that a camera may have (>= 1.20), new enough for all that is used here.
OPSET = 17
IR_VERSION = 8
_LOW_BIT = {
    "float8_e4m3fn": (19, 9),
    "float8_e5m2": (19, 9),
    "int4": (21, 10),
    "uint4": (21, 10),
    "int2": (25, 13),
    "uint2": (25, 13),
}
"""The opset and the version of the format that first know a type of weights."""


class GraphBuilder:
    """Nodes in the order in which they run."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, np.ndarray] = {}
        self._names: set[str] = set()
        self._rows: dict[str, tuple[str, ...]] = {}

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

    def made_of_rows(self, value: str, constants: tuple[str, ...]) -> None:
        """Say of weights that are unpacked by nodes which constants grow with them.

        Args:
            value: the unpacked weights, (O, ...).
            constants: float, (R, ...): a whole number of rows for each of the O outputs, in their order.
        """
        self._rows[value] = constants

    def rows_of(self, value: str) -> tuple[str, ...]:
        """Return the constants that grow with weights, as `made_of_rows` was told."""
        return self._rows.get(value, ())

    def scale_outputs(self, name: str, factors: np.ndarray) -> bool:
        """Multiply the weights of each output by its factor; False where these are no weights of so many.

        Integers stay as they are: their scales, and what is added behind them, are multiplied.
        """
        found = [(one, self._weights[one]) for one in self._rows.get(name, (name,)) if one in self._weights]
        if not found or any(len(values) % len(factors) for _, values in found):
            return False
        if name in self._weights and len(self._weights[name]) != len(factors):
            return False
        for one, values in found:
            rows = np.repeat(factors, len(values) // len(factors))
            grown = values * rows.reshape((-1,) + (1,) * (values.ndim - 1))
            self.replace_constant(one, grown.astype(np.float32))
        return True

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
        kinds = {values.dtype.name for values in self._weights.values()} & _LOW_BIT.keys()
        opset, version = max((_LOW_BIT[kind] for kind in kinds), default=(OPSET, IR_VERSION))
        model = helper.make_model(
            helper.make_graph(self._nodes, "slimcast", inputs, outputs),
            opset_imports=[helper.make_opsetid("", opset)],
            ir_version=version,
            producer_name="slimcast",
        )
        for name, values in self._weights.items():
            # Put in one by one: `make_graph` and `make_model` would each copy all of them.
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return model
