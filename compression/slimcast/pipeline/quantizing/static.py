"""Static int8, with an accuracy budget where the step has one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
from torch import nn

from slimcast.data.choice import images_for_choice
from slimcast.data.files import taken
from slimcast.data.subset import subset
from slimcast.measure.files import integer_share
from slimcast.measure.kernels import executed_graph
from slimcast.models.layers import check_patterns, matches, weighted_layers
from slimcast.pipeline.drafts import Draft, float_graph
from slimcast.pipeline.job import Job
from slimcast.quantize.layer_errors import LayerError, layer_errors
from slimcast.quantize.qdq import Ranges
from slimcast.quantize.runs import logits_of
from slimcast.quantize.static import CANDIDATES, StaticPlan, quantize
from slimcast.recipe import StaticQuantize
from slimcast.reporting import QuietReporter, ScaledReporter
from slimcast_edge.artifact import NumericKind

_SCORED = 256
_JUDGED = 2000
_FLOAT_LAYERS = (1, 2, 4, 8, 16)
"""How many of the worst layers are tried in float, one after the other."""


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """One way that was tried, and what it keeps on the images for choices, 0..1."""

    title: str
    graph: onnx.ModelProto
    accuracy: float


def run_static(
    job: Job, index: int, step: StaticQuantize, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Quantize weights and activations, calibrated on training images.

    Raises:
        StepError: the quantizer fails, or nothing runs in integer kernels.
        Cancelled: somebody cancelled the run.
    """
    reporter.progress(0.0, "Exporting")
    graph = float_graph(job, model)
    layers = weighted_layers(model)
    check_patterns(step.keep, layers, "keep")
    plan = StaticPlan(
        activations=step.activations,
        samples=step.calibration_samples,
        seed=job.seed(index),
        ranges=_ranges(step),
        keep=frozenset(name for name in layers if matches(name, step.keep)),
        equalize=step.equalize,
        correct_bias=step.correct_bias,
    )
    if step.max_loss is None:
        quantized = quantize(graph, job.data.train_images, plan, reporter=reporter)
    else:
        quantized = _Budget(job, index, graph, plan, reporter).spend(step.max_loss)
    return Draft(model=model, graph=quantized, kind=NumericKind.INT8)


def _ranges(step: StaticQuantize) -> tuple[Ranges, ...]:
    """Return the ways to find ranges that the step leaves open."""
    fitting = [
        ranges
        for ranges in CANDIDATES
        if step.calibration in ("auto", ranges.method) and step.per_channel in (None, ranges.per_channel)
    ]
    if fitting or step.calibration == "auto":
        return tuple(fitting)
    return (Ranges(method=step.calibration, per_channel=bool(step.per_channel)),)


class _Budget:
    """Tries one fix after the other, the cheap ones first, until the loss is within the budget."""

    def __init__(
        self, job: Job, index: int, graph: onnx.ModelProto, plan: StaticPlan, reporter: ScaledReporter
    ) -> None:
        self._job, self._index, self._graph, self._plan, self._reporter = job, index, graph, plan, reporter
        images, labels = images_for_choice(job.data)
        chosen = subset(labels, min(_JUDGED, len(labels)), seed=job.recipe.seed)
        self._images, self._labels = taken(images, chosen), labels[chosen]
        self._whole = self._accuracy(graph)

    def spend(self, most: float) -> onnx.ModelProto:
        """Return the first that loses at most `most` of the accuracy, 0..1; else the one that loses least."""
        best: _Attempt | None = None
        rows: list[tuple[str, float, float, int, str]] = []
        for title, plan in self._plans():
            self._reporter.check_cancelled()
            attempt = self._try(title, plan)
            better = best is None or attempt.accuracy > best.accuracy
            integer, _ = integer_share(executed_graph(attempt.graph))
            loss = self._whole - attempt.accuracy
            rows.append((title, attempt.accuracy, loss, integer, "kept" if better else "no better"))
            self._tell(rows)
            if better:
                best = attempt
            if loss <= most:
                break
        assert best is not None
        self._conclude(best, most)
        return best.graph

    def _plans(self) -> Iterator[tuple[str, StaticPlan]]:
        plan = self._plan
        yield "best ranges by logits", plan
        for ranges in plan.ranges:
            yield ranges.title, replace(plan, ranges=(ranges,))
        yield "equalized", replace(plan, equalize=True)
        yield "equalized, biases corrected", replace(plan, equalize=True, correct_bias=True)
        yield "biases corrected", replace(plan, correct_bias=True)
        worst = self._worst()
        for count in _FLOAT_LAYERS:
            if count >= len(worst):
                break
            names = [item.layer for item in worst[:count]]
            title = f"in float: {', '.join(names)}"
            yield title, replace(plan, keep=plan.keep | set(names))

    def _worst(self) -> list[LayerError]:
        plan, data = self._plan, self._job.data
        chosen = np.random.default_rng(plan.seed).permutation(len(data.train_labels))
        found = layer_errors(
            self._graph,
            taken(data.train_images, np.sort(chosen[: plan.samples])),
            plan,
            scored=taken(data.train_images, np.sort(chosen[-_SCORED:])),
            reporter=QuietReporter(self._reporter, 0.5, 0.7, "Looking for the layers that lose most"),
        )
        rows = [(item.layer, item.error, item.same) for item in found]
        self._reporter.table(f"{self._index}-layers", ("layer", "error", "same_answers"), rows)
        return found

    def _try(self, title: str, plan: StaticPlan) -> _Attempt:
        quiet = QuietReporter(self._reporter, 0.0, 0.5, f"Quantizing: {title}")
        graph = quantize(self._graph, self._job.data.train_images, plan, reporter=quiet)
        return _Attempt(title=title, graph=graph, accuracy=self._accuracy(graph))

    def _accuracy(self, graph: onnx.ModelProto) -> float:
        return float((logits_of(graph, self._images).argmax(1) == self._labels).mean())

    def _tell(self, rows: list[tuple[str, float, float, int, str]]) -> None:
        columns = ("fix", "accuracy", "loss", "integer_layers", "verdict")
        self._reporter.table(f"{self._index}-fixes", columns, rows)

    def _conclude(self, best: _Attempt, most: float) -> None:
        loss, count = self._whole - best.accuracy, len(self._labels)
        said = f"{best.title}: {loss:+.2%} of accuracy lost on {count} images for choices, {most:.2%} allowed"
        if loss <= most:
            self._reporter.log(said)
        else:
            self._reporter.log(
                f"{said}. Nothing that was tried loses less: train with method qat.", "warning"
            )
