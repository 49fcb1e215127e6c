"""Static int8 with ONNX Runtime's quantizer: integer weights, activations and kernels.

Tries a few ways to find the ranges of the activations, and keeps the one whose logits stay closest to
the float network's, on training images. Held-out images are not used. The first convolution stays in float.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from slimcast.errors import StepError
from slimcast.measure.files import integer_share
from slimcast.quantize.workspace import quiet
from slimcast.reporting import Reporter
from slimcast.timing import batch_time
from slimcast_edge.artifact import INPUT_NAME

_BATCH = 32
_SCORED_IMAGES = 512
_WARN_BELOW_INTEGER_SHARE = 0.9
# What ONNX Runtime has integer kernels for, or hands through in integers.
_QUANTIZED = [
    "Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat",
    "Flatten", "Reshape", "Mul", "Sigmoid",
]  # fmt: skip
# Attention adds small changes to a few large values, which 8 bits for all of them together would drown.
_FLOAT_BESIDE_ATTENTION = {"Add", "Mul", "Sigmoid"}
_NORMALISE = "normalise"
_ACTIVATIONS = {"Relu", "Clip"}


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    title: str
    method: CalibrationMethod
    per_channel: bool


_CANDIDATES = (
    _Candidate(title="MinMax, per channel", method=CalibrationMethod.MinMax, per_channel=True),
    _Candidate(title="Percentile 99.99, per channel", method=CalibrationMethod.Percentile, per_channel=True),
    _Candidate(title="MinMax, per tensor", method=CalibrationMethod.MinMax, per_channel=False),
)


def quantize(
    model: onnx.ModelProto,
    images: np.ndarray,
    *,
    activations: str,
    samples: int,
    seed: int,
    reporter: Reporter,
) -> onnx.ModelProto:
    """Return the int8 network.

    Args:
        model: float32, batch norms folded, as `export_onnx` writes it; is left as it is.
        images: training images, uint8 (N, H, W, C).
        activations: ``int8`` or ``uint8``; ``int8`` is the safe choice for ARM.
        samples: how many images to calibrate with.
        seed: of their choice.

    Raises:
        StepError: the quantizer fails, or nothing runs in integer kernels.
        Cancelled: somebody cancelled the run.
    """
    chosen = np.random.default_rng(seed).permutation(len(images))
    calibration = images[np.sort(chosen[:samples])]
    # Others than those for calibration where there are enough.
    scored = images[np.sort(chosen[-_SCORED_IMAGES:])]
    wanted = _logits(model, scored)
    kept = _kept_in_float(model)
    best: tuple[float, _Candidate, onnx.ModelProto] | None = None
    with tempfile.TemporaryDirectory(prefix="slimcast-") as name:
        for index, candidate in enumerate(_CANDIDATES):
            reporter.check_cancelled()
            reporter.progress(index / len(_CANDIDATES), f"Quantizing: {candidate.title}")
            quantized = _quantize(model, calibration, candidate, activations, kept, Path(name))
            logits = _logits(quantized, scored)
            error = float(np.mean((logits - wanted) ** 2) / max(np.var(wanted), 1e-12)) ** 0.5
            same = float((logits.argmax(1) == wanted.argmax(1)).mean())
            reporter.log(
                f"{candidate.title}: logits off by {error:.2%}, same answer on {same:.2%} of training images"
            )
            if best is None or error < best[0]:
                best = error, candidate, quantized
    assert best is not None
    _, candidate, quantized = best
    integer, layers = integer_share(optimized(quantized))
    reporter.log(
        f"Kept {candidate.title}; {integer} of {layers} convolutions and linear layers run in integers"
    )
    if not integer:
        raise StepError("Quantization had no effect: ONNX Runtime runs no layer of this network in integers.")
    rest = layers - sum(node.op_type == "Conv" and node.name in kept for node in model.graph.node)
    if integer < _WARN_BELOW_INTEGER_SHARE * rest:
        reporter.log(f"{rest - integer} more layers stay in float, so the gain is smaller", "warning")
    return quantized


class _Reader(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        # ONNX Runtime stacks what it collects of each batch: a smaller last one would not fit.
        parts = max(1, len(images) // _BATCH)
        size = len(images) // parts
        self._batches = iter([images[i * size : (i + 1) * size] for i in range(parts)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


def _quantize(
    model: onnx.ModelProto,
    images: np.ndarray,
    candidate: _Candidate,
    activations: str,
    kept: list[str],
    folder: Path,
) -> onnx.ModelProto:
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    # Batch norms are folded and shapes are simple: ONNX Runtime's own pre-processing would find nothing
    # to do.
    add_pre_process_metadata(prepared)
    source, target = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(prepared, source)
    kind = QuantType.QInt8 if activations == "int8" else QuantType.QUInt8
    try:
        with quiet():
            quantize_static(
                source,
                target,
                _Reader(images),
                per_channel=candidate.per_channel,
                activation_type=kind,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=_quantized_kinds(model),
                nodes_to_exclude=kept,
                calibrate_method=candidate.method,
                calibration_cache_path=folder / f"{candidate.method.name}.json",
                extra_options={"CalibPercentile": 99.99},
            )
    except Exception as error:  # the quantizer raises whatever its parts raise
        raise StepError(f"ONNX Runtime's quantizer failed ({candidate.title}): {error}") from error
    return onnx.load(target)


def _quantized_kinds(model: onnx.ModelProto) -> list[str]:
    """Return the kinds of nodes to quantize: fewer of them in networks with attention."""
    attends = any(node.op_type == "Softmax" for node in model.graph.node)
    return [kind for kind in _QUANTIZED if not (attends and kind in _FLOAT_BESIDE_ATTENTION)]


def _kept_in_float(model: onnx.ModelProto) -> list[str]:
    """Return the nodes from the image to the first convolution and its activation.

    An image has one or three channels, which is too few for an integer kernel to fill its lanes: on x86-64
    the first convolution in integers took up to four times as long as in float with the quantization behind
    it. It is also the layer that suffers most from few bits, and the smallest.
    """
    kept = {node.name for node in model.graph.node if node.name.startswith(_NORMALISE)}
    pixels = {output for node in model.graph.node if node.name in kept for output in node.output}
    first = next((n for n in model.graph.node if n.op_type == "Conv" and n.input[0] in pixels), None)
    if first is not None:
        readers = [node for node in model.graph.node if first.output[0] in node.input]
        kept |= {first.name} | {node.name for node in readers if node.op_type in _ACTIVATIONS}
    return sorted(kept)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _logits(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _options(), providers=["CPUExecutionProvider"]
    )
    with batch_time():
        parts = [
            session.run(None, {INPUT_NAME: images[i : i + _BATCH]})[0] for i in range(0, len(images), _BATCH)
        ]
    return np.concatenate(parts)


def optimized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph that ONNX Runtime really executes on this machine."""
    with tempfile.TemporaryDirectory(prefix="slimcast-") as name:
        options = _options()
        options.optimized_model_filepath = str(Path(name) / "optimized.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)
