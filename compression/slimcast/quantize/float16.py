"""Half precision with ONNX Runtime's converter: 16-bit weights and arithmetic, for devices that have it."""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from slimcast.errors import StepError
from slimcast.reporting import Reporter

LARGEST = float(np.finfo(np.float16).max)
_NORMALISE = "normalise"
_FRAGILE = {"Softmax", "LayerNormalization", "InstanceNormalization", "ReduceMean", "Exp", "Pow", "Sqrt"}
"""Sums over many values, and powers: they lose most in 16 bits, and cost next to nothing."""


def to_float16(model: onnx.ModelProto, *, keep: Collection[str], reporter: Reporter) -> onnx.ModelProto:
    """Return the network in half precision; pixels and logits stay as they were.

    Args:
        model: float32, as `export_onnx` writes it; is left as it is.
        keep: names of layers that stay in float32.
        reporter: is told what stays in float32.

    Raises:
        StepError: a weight is too large for 16 bits.
    """
    _check_weights(model, keep)
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for index, node in enumerate(whole.graph.node):
        node.name = node.name or f"node{index}"  # the converter goes by names
    kept = [
        new.name for new, old in zip(whole.graph.node, model.graph.node, strict=True) if _stays(old, keep)
    ]
    out: onnx.ModelProto = convert_float_to_float16(whole, keep_io_types=True, node_block_list=kept)
    OnnxModel.graph_topological_sort(out.graph)  # the converter appends its casts at the end
    layers = sum(node.op_type in {"Conv", "Gemm", "MatMul"} for node in model.graph.node)
    stay = sum(node.op_type in {"Conv", "Gemm", "MatMul"} and node.name in keep for node in model.graph.node)
    reporter.log(f"{layers - stay} of {layers} convolutions and linear layers compute in 16 bits")
    return out


def _stays(node: onnx.NodeProto, keep: Collection[str]) -> bool:
    return node.name in keep or node.name.startswith(_NORMALISE) or node.op_type in _FRAGILE


def _check_weights(model: onnx.ModelProto, keep: Collection[str]) -> None:
    stored = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if _stays(node, keep):
            continue
        for name in node.input:
            if name in stored and stored[name].data_type == onnx.TensorProto.FLOAT:
                largest = float(np.abs(numpy_helper.to_array(stored[name])).max(initial=0.0))
                if largest > LARGEST:
                    raise StepError(
                        f"A weight of {node.name or node.op_type} is {largest:.3g}, and 16 bits hold "
                        f"{LARGEST:.0f} at most. Name the layer in keep."
                    )
