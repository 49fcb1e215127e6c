"""What each layer alone does to the answers when it is brought to int8, all others in float."""

from dataclasses import dataclass

import numpy as np
import onnx

from slimcast.quantize.qdq import in_float, insert
from slimcast.quantize.runs import logits_of
from slimcast.quantize.static import MINMAX, StaticPlan
from slimcast.quantize.workspace import Workspace
from slimcast.reporting import Reporter

_LAYERS = {"Conv", "Gemm", "MatMul"}


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """How far the logits move, as a share of their standard deviation, and how many answers stay, 0..1."""

    layer: str
    error: float
    same: float


def layer_errors(
    model: onnx.ModelProto,
    images: np.ndarray,
    plan: StaticPlan,
    *,
    scored: np.ndarray,
    reporter: Reporter,
) -> list[LayerError]:
    """Return the error of each layer that can be brought to int8, the worst first.

    Args:
        model: float32; is left as it is.
        images: that calibrate, uint8 (N, H, W, C). scored: on which answers are compared.
        plan: what its `keep` names is not looked at. Ranges are found by MinMax, per channel.

    Raises:
        StepError: the quantizer fails.
        Cancelled: somebody cancelled the run.
    """
    stay = in_float(model, plan.keep)
    names = [node.name for node in model.graph.node if node.op_type in _LAYERS and node.name not in stay]
    wanted = logits_of(model, scored)
    deviation = max(float(wanted.std()), 1e-12)
    found = []
    with Workspace() as folder:
        for index, name in enumerate(names):
            reporter.check_cancelled()
            reporter.progress(index / len(names), f"Quantizing {name} alone")
            others = plan.keep | set(names) - {name}
            alone = insert(model, images, MINMAX, plan.activations, others, folder)
            logits = logits_of(alone, scored)
            error = float(np.sqrt(np.mean((logits - wanted) ** 2))) / deviation
            same = float((logits.argmax(1) == wanted.argmax(1)).mean())
            found.append(LayerError(layer=name, error=error, same=same))
    return sorted(found, key=lambda item: -item.error)
