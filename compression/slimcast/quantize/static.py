"""Static int8 with ONNX Runtime's quantizer: integer weights, activations and kernels.

Tries a few ways to find the ranges of the activations, and keeps the one whose logits stay closest to
the float network's, on training images. Held-out images are not used. The first convolution stays in float.
"""

from dataclasses import dataclass

import numpy as np
import onnx

from slimcast.errors import StepError
from slimcast.measure.files import integer_share
from slimcast.measure.kernels import executed_graph
from slimcast.quantize.bias import correct_biases
from slimcast.quantize.equalize import equalize
from slimcast.quantize.qdq import Ranges, in_float, insert
from slimcast.quantize.runs import logits_of
from slimcast.quantize.workspace import Workspace
from slimcast.reporting import Reporter

_SCORED_IMAGES = 512
_WARN_BELOW_INTEGER_SHARE = 0.9

MINMAX = Ranges(method="minmax", per_channel=True)
CANDIDATES = (
    MINMAX,
    Ranges(method="percentile", per_channel=True),
    Ranges(method="entropy", per_channel=True),
    Ranges(method="minmax", per_channel=False),
)
"""What is tried where a plan names nothing: MobileNets collapse with the one or the other now and then."""


@dataclass(frozen=True, kw_only=True)
class StaticPlan:
    """How a graph is brought to int8.

    Attributes:
        activations: ``uint8``, or ``int8``: the safe choice for ARM.
        samples: images that calibrate. seed: of their choice.
        ranges: ways to find the ranges; the best of them is kept.
        keep: names of layers that stay in float.
        equalize: even out the weights of neighbouring layers first, see `slimcast.quantize.equalize`.
        correct_bias: take the mean error of rounded weights out of the biases, see `slimcast.quantize.bias`.
    """

    activations: str = "uint8"
    samples: int = 256
    seed: int = 0
    ranges: tuple[Ranges, ...] = CANDIDATES
    keep: frozenset[str] = frozenset()
    equalize: bool = False
    correct_bias: bool = False

    def calibrating(self, count: int) -> np.ndarray:
        """Return which of so many training images calibrate: their indices, in order."""
        return np.sort(self._shuffled(count)[: self.samples])

    def scoring(self, count: int, most: int) -> np.ndarray:
        """Return on which answers are compared: others than those that calibrate where there are enough."""
        return np.sort(self._shuffled(count)[-most:])

    def _shuffled(self, count: int) -> np.ndarray:
        return np.random.default_rng(self.seed).permutation(count)


def quantize(
    model: onnx.ModelProto, images: np.ndarray, plan: StaticPlan, *, reporter: Reporter
) -> onnx.ModelProto:
    """Return the int8 network.

    Args:
        model: float32, batch norms folded, as `export_onnx` writes it; is left as it is.
        images: training images, uint8 (N, H, W, C).
        plan: how.
        reporter: is told what was tried.

    Raises:
        StepError: the quantizer fails, a weight is no number, or nothing runs in integer kernels.
        Cancelled: somebody cancelled the run.
    """
    return quantize_best(model, images, plan, reporter=reporter)[0]


def quantize_best(
    model: onnx.ModelProto, images: np.ndarray, plan: StaticPlan, *, reporter: Reporter
) -> tuple[onnx.ModelProto, Ranges]:
    """Return what `quantize` does, and the ranges of the plan that were kept."""
    calibration = images[plan.calibrating(len(images))]
    scored = images[plan.scoring(len(images), _SCORED_IMAGES)]
    wanted = logits_of(model, scored)
    source = equalize(model) if plan.equalize else model
    best: tuple[float, Ranges, onnx.ModelProto] | None = None
    with Workspace() as folder:
        for index, ranges in enumerate(plan.ranges):
            reporter.check_cancelled()
            reporter.progress(index / len(plan.ranges), f"Quantizing: {ranges.title}")
            quantized = insert(source, calibration, ranges, plan.activations, plan.keep, folder)
            if plan.correct_bias:
                quantized = correct_biases(quantized, source, calibration)
            logits = logits_of(quantized, scored)
            error = float(np.mean((logits - wanted) ** 2) / max(np.var(wanted), 1e-12)) ** 0.5
            same = float((logits.argmax(1) == wanted.argmax(1)).mean())
            reporter.log(
                f"{ranges.title}: logits off by {error:.2%}, same answer on {same:.2%} of training images"
            )
            if best is None or error < best[0]:
                best = error, ranges, quantized
    assert best is not None
    _, ranges, quantized = best
    _report(model, quantized, ranges, plan, reporter)
    return quantized, ranges


def _report(
    model: onnx.ModelProto, quantized: onnx.ModelProto, ranges: Ranges, plan: StaticPlan, reporter: Reporter
) -> None:
    integer, layers = integer_share(executed_graph(quantized))
    reporter.log(f"Kept {ranges.title}; {integer} of {layers} convolutions and linear layers run in integers")
    if not integer:
        raise StepError("Quantization had no effect: ONNX Runtime runs no layer of this network in integers.")
    stay = in_float(model, plan.keep)
    rest = layers - sum(
        node.op_type in {"Conv", "Gemm", "MatMul"} and node.name in stay for node in model.graph.node
    )
    if integer < _WARN_BELOW_INTEGER_SHARE * rest:
        reporter.log(f"{rest - integer} more layers stay in float, so the gain is smaller", "warning")
