"""Make an artifact of an ONNX graph, and prove that it is what it says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from slimcast.data.images import ImageData
from slimcast.errors import StepError
from slimcast.export.artifact import pack
from slimcast.export.golden import choose_golden
from slimcast.measure.fresh import FreshProcess, FreshRun
from slimcast.measure.predictions import Predictions
from slimcast.measure.quality import agreement, logits_of, top1_accuracy
from slimcast.measure.report import Quality
from slimcast.reporting import Reporter
from slimcast_edge.artifact import ArtifactInfo, NumericKind
from slimcast_edge.runtime import Runtime, open_runtime

LATENCY_SECONDS = 0.5
_EXPORT = {NumericKind.FLOAT32: (1e-3, 0.999), NumericKind.WEIGHT_ONLY: (0.1, 0.98)}
"""How far logits may be from torch's, of their range, and which share of the answers must be the same.

Weights alone move nothing. Where activations are rounded to float8, two ways to add up fall to two sides now
and then.
"""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A finished artifact: the file, its answers and their quality, and what a fresh process measured."""

    content: bytes
    info: ArtifactInfo
    predictions: Predictions
    quality: Quality
    fresh: FreshRun


def make_artifact(
    graph: onnx.ModelProto,
    info: ArtifactInfo,
    data: ImageData,
    *,
    torch_logits: np.ndarray,
    threads: int,
    reporter: Reporter,
) -> Artifact:
    """Pack the graph, measure it on all held-out images, add golden samples, and try it in a fresh process.

    Args:
        info: what the artifact says of itself, without accuracy and golden samples: they are found here.
        torch_logits: the torch network's answers to the held-out images, (N, K).

    Raises:
        StepError: a float file answers otherwise than the torch network, or the fresh process otherwise
        than this.
    """
    with FreshProcess() as fresh_process:  # it starts while this one is busy
        draft = pack(graph, info)
        runtime = open_runtime(draft, threads=threads)
        logits = logits_of(runtime, data.test_images, reporter=reporter)
        quality = Quality(
            accuracy=top1_accuracy(logits, data.test_labels),
            agreement=agreement(logits, torch_logits),
            images=len(logits),
            **_validated(runtime, data, reporter),
        )
        runtime.close()
        if info.numeric_kind in _EXPORT:
            _check_export(logits, torch_logits, quality, *_EXPORT[info.numeric_kind])
        golden = choose_golden(draft, data.test_images, data.test_labels, logits, info.numeric_kind)
        measured = info.measurements | {"accuracy": round(quality.accuracy, 6)}
        info = info.model_copy(update={"golden": golden, "measurements": measured})
        content = pack(graph, info)
        images = np.stack([sample.pixels() for sample in golden.samples])
        fresh = fresh_process.run(content, images, seconds=LATENCY_SECONDS, reporter=reporter)
        _check_fresh(fresh, info)
        predictions = Predictions.of_logits(logits, data.test_labels, data.labels)
        return Artifact(content=content, info=info, predictions=predictions, quality=quality, fresh=fresh)


def _validated(runtime: Runtime, data: ImageData, reporter: Reporter) -> dict[str, Any]:
    """Measure on what the recipe holds back for choices, so that nobody has to choose on test images."""
    if data.validation_images is None or data.validation_labels is None:
        return {}
    logits = logits_of(runtime, data.validation_images, reporter=reporter)
    return {
        "validation_accuracy": top1_accuracy(logits, data.validation_labels),
        "validation_images": len(logits),
    }


def _check_export(
    logits: np.ndarray, torch_logits: np.ndarray, quality: Quality, tolerance: float, same: float
) -> None:
    difference = float(np.abs(logits - torch_logits).max())
    allowed = tolerance * max(1.0, float(np.ptp(torch_logits)))
    if difference > allowed or quality.agreement < same:
        raise StepError(
            f"The exported file answers otherwise than the network: logits differ by up to {difference:.3g} "
            f"(allowed {allowed:.3g}), the same answer on {quality.agreement:.2%} of the images."
        )


def _check_fresh(fresh: FreshRun, info: ArtifactInfo) -> None:
    wanted = np.asarray([sample.logits for sample in info.golden.samples])
    difference = float(np.abs(fresh.logits - wanted).max())
    if difference > info.golden.tolerance or (fresh.logits.argmax(1) != wanted.argmax(1)).any():
        raise StepError(
            f"The artifact answers otherwise in a fresh process: logits differ by {difference:.3g}, "
            f"its tolerance is {info.golden.tolerance:.3g}."
        )
