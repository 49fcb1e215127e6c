"""Put QuantizeLinear/DequantizeLinear pairs into a float graph with ONNX Runtime's quantizer."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from slimcast.errors import StepError
from slimcast.quantize.workspace import Workspace, quiet
from slimcast_edge.artifact import INPUT_NAME

_BATCH = 32
_PERCENTILE = 99.99
# What ONNX Runtime has integer kernels for, or hands through in integers.
_QUANTIZED = [
    "Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat",
    "Flatten", "Reshape", "Mul", "Sigmoid",
]  # fmt: skip
# Attention adds small changes to a few large values, which 8 bits for all of them together would drown.
_FLOAT_BESIDE_ATTENTION = {"Add", "Mul", "Sigmoid"}
_NORMALISE = "normalise"
_ACTIVATIONS = {"Relu", "Clip"}
_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """How ranges are found: of activations by `method`, of weights for each channel or for all together."""

    method: Literal["minmax", "percentile", "entropy"]
    per_channel: bool

    @property
    def title(self) -> str:
        """Return what a reader calls it."""
        name = {"minmax": "MinMax", "percentile": f"Percentile {_PERCENTILE}", "entropy": "Entropy"}
        return f"{name[self.method]}, per {'channel' if self.per_channel else 'tensor'}"


def insert(
    model: onnx.ModelProto,
    images: np.ndarray,
    ranges: Ranges,
    activations: str,
    keep: Collection[str],
    folder: Workspace,
    chosen: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """Return the graph with pairs around everything that ONNX Runtime computes in integers.

    Args:
        model: float32; is left as it is.
        images: that calibrate, uint8 (N, H, W, C).
        ranges: how ranges are found.
        activations: ``int8`` or ``uint8``.
        keep: names of layers that stay in float, besides the first convolution.
        folder: for files; ranges found in it once are not looked for again.
        chosen: ranges that are known, as `slimcast.quantize.grids.overrides` writes them.

    Raises:
        StepError: the quantizer fails, or a weight is no number.
    """
    _check_weights(model)
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    # Batch norms are folded and shapes are simple: ONNX Runtime's own pre-processing would find nothing
    # to do.
    add_pre_process_metadata(prepared)
    source, target = folder.write(prepared, "float.onnx"), folder.path("int8.onnx")
    try:
        with quiet():
            quantize_static(
                source,
                target,
                _Reader(images),
                per_channel=ranges.per_channel,
                activation_type=QuantType.QInt8 if activations == "int8" else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=_quantized_kinds(model),
                nodes_to_exclude=sorted(in_float(model, keep) | _products(model)),
                calibrate_method=_METHODS[ranges.method],
                calibration_cache_path=folder.path(f"{ranges.method}.json"),
                extra_options={"CalibPercentile": _PERCENTILE, "TensorQuantOverrides": dict(chosen or {})},
            )
    except Exception as error:  # the quantizer raises whatever its parts raise
        raise StepError(f"ONNX Runtime's quantizer failed ({ranges.title}): {error}") from error
    return onnx.load(target)


def in_float(model: onnx.ModelProto, keep: Collection[str] = ()) -> set[str]:
    """Return the nodes that stay in float: `keep`, and those from the image to the first convolution.

    An image has one or three channels, which is too few for an integer kernel to fill its lanes: on x86-64
    the first convolution in integers took up to four times as long as in float with the quantization behind
    it. It is also the layer that suffers most from few bits, and the smallest. The activation behind a layer
    in float stays with it.
    """
    kept = {node.name for node in model.graph.node if node.name.startswith(_NORMALISE)}
    pixels = {output for node in model.graph.node if node.name in kept for output in node.output}
    first = next((n for n in model.graph.node if n.op_type == "Conv" and n.input[0] in pixels), None)
    layers = [node for node in model.graph.node if node.name and node.name in keep]
    for layer in [*layers, *([first] if first is not None else [])]:
        readers = [node for node in model.graph.node if layer.output[0] in node.input]
        kept |= {layer.name} | {node.name for node in readers if node.op_type in _ACTIVATIONS}
    return kept


class _Reader(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        # ONNX Runtime stacks what it collects of each batch: a smaller last one would not fit.
        parts = max(1, len(images) // _BATCH)
        size = len(images) // parts
        self._batches = iter([images[i * size : (i + 1) * size] for i in range(parts)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


def _quantized_kinds(model: onnx.ModelProto) -> list[str]:
    """Return the kinds of nodes to quantize: fewer of them in networks with attention."""
    attends = any(node.op_type == "Softmax" for node in model.graph.node)
    return [kind for kind in _QUANTIZED if not (attends and kind in _FLOAT_BESIDE_ATTENTION)]


def _products(model: onnx.ModelProto) -> set[str]:
    """Return the nodes that multiply two activations: attention's own, whose results spread too widely."""
    stored = {item.name for item in model.graph.initializer}
    return {n.name for n in model.graph.node if n.op_type == "MatMul" and not stored & set(n.input)}


def _check_weights(model: onnx.ModelProto) -> None:
    stored = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        for name in node.input:
            item = stored.get(name)
            if item is None or item.data_type != onnx.TensorProto.FLOAT:
                continue
            if not np.isfinite(numpy_helper.to_array(item)).all():
                raise StepError(
                    f"A weight of {node.name or node.op_type} is infinite or no number: the training went "
                    "wrong. Train again with a smaller learning rate or with gradient_clip."
                )
