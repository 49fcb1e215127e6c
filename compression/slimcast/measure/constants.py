"""What the constants of a graph are once its unpacking nodes have run, as a runtime folds them at load."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator


class Constants:
    """The constants of a graph, unpacked on demand."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._stored = {item.name: item for item in model.graph.initializer}
        self._makers = {output: node for node in model.graph.node for output in node.output}
        self._known: dict[str, np.ndarray] = {}

    def weight(self, name: str) -> np.ndarray | None:
        """Return weights by the name of the value that a layer reads; None: they are no constant.

        Integers with a scale and no zero point are returned as they are stored.
        """
        maker = self._makers.get(name)
        if maker is not None and maker.op_type == "DequantizeLinear" and not self._zero_point(maker):
            return self.value(maker.input[0])
        return self.value(name)

    def value(self, name: str) -> np.ndarray | None:
        """Return a constant, stored or computed from stored ones; None: it depends on something else."""
        if name in self._known:
            return self._known[name]
        if name in self._stored:
            return self._known.setdefault(name, numpy_helper.to_array(self._stored[name]))
        node = self._makers.get(name)
        if node is None or node.op_type not in _UNPACKING.keys() | _OTHERS:
            return None
        inputs = [self.value(item) if item else None for item in node.input]
        if any(value is None and item for value, item in zip(inputs, node.input, strict=True)):
            return None
        if node.op_type in _OTHERS:
            given = {item: value for item, value in zip(node.input, inputs, strict=True) if item}
            results = ReferenceEvaluator(node).run(None, given)
            self._known |= dict(zip(node.output, results, strict=True))
            return self._known[name]
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        return _UNPACKING[node.op_type](attributes, *inputs)

    def _zero_point(self, node: onnx.NodeProto) -> bool:
        zero = self.value(node.input[2]) if len(node.input) > 2 else None
        return zero is not None and bool((zero != 0).any())


def _dequantized(
    attributes: dict[str, Any], values: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None
) -> np.ndarray:
    shape = [1] * values.ndim
    if scale.ndim:
        shape[attributes.get("axis", 1)] = -1
    shift = np.float32(0) if zero is None else zero.astype(np.float32).reshape(shape)
    out: np.ndarray = (values.astype(np.float32) - shift) * scale.reshape(shape)
    return out


_UNPACKING: dict[str, Callable[..., np.ndarray]] = {
    "DequantizeLinear": _dequantized,
    "Cast": lambda attributes, values: values.astype(helper.tensor_dtype_to_np_dtype(attributes["to"])),
    "Sub": lambda _, left, right: left - right,
    "Reshape": lambda _, values, shape: values.reshape(shape),
    "Transpose": lambda attributes, values: values.transpose(attributes["perm"]),
}
"""What exporters put between stored weights and their layer, as functions of (attributes, inputs).

All that values of few bits go through is done here.
"""
_OTHERS = {"Gather", "Split", "Mul", "Range", "Div", "Mod", "Add"}
"""The same, left to onnx's evaluator."""
