"""An accuracy budget: one fix after the other, the cheap ones first, until the loss is within it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import onnx
from torch import nn

from slimcast.data.choice import some_for_choice
from slimcast.data.files import taken
from slimcast.measure.files import integer_share
from slimcast.measure.kernels import executed_graph
from slimcast.pipeline.drafts import Draft
from slimcast.pipeline.job import Job
from slimcast.quantize.layer_errors import LayerError, layer_errors
from slimcast.quantize.qdq import Ranges
from slimcast.quantize.runs import logits_of
from slimcast.quantize.static import StaticPlan, quantize_best
from slimcast.reporting import QuietReporter, ScaledReporter
from slimcast_edge.artifact import NumericKind

_SCORED = 256
_JUDGED = 2000
_FLOAT_LAYERS = (1, 2, 4, 8, 16)
"""How many of the worst layers are tried in float, one after the other."""

_FIXES_SHARE = 0.5  # of the progress bar; what comes then is training


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """One way that was tried, and what it keeps on the images for choices, 0..1."""

    title: str
    draft: Draft
    accuracy: float


class Budget:
    """Tries one fix after the other, and keeps what loses least."""

    def __init__(
        self, job: Job, index: int, graph: onnx.ModelProto, plan: StaticPlan, reporter: ScaledReporter
    ) -> None:
        """Measure the float network; `graph` is its graph, `plan` what the fixes begin with."""
        self._job, self._index, self._graph, self._plan, self._reporter = job, index, graph, plan, reporter
        self._images, self._labels = some_for_choice(job.data, _JUDGED, seed=job.recipe.seed)
        self._whole = self._accuracy(graph)
        self._rows: list[tuple[str, float, float, int, str]] = []
        self._best: _Attempt | None = None
        self._made: set[Ranges] = set()

    def spend(self, most: float, model: nn.Module, train: Callable[[ScaledReporter], Draft]) -> Draft:
        """Return the first way that loses at most `most` of the accuracy, 0..1; else what loses least.

        Args:
            most: that may be lost.
            model: whose answers those of the static graphs are to be.
            train: what is tried last: quantization-aware training.

        Raises:
            StepError: the quantizer fails.
            Cancelled: somebody cancelled the run.
        """
        for title, plan in self._plans():
            self._reporter.check_cancelled()
            activity = f"Quantizing: {title}"
            quiet = QuietReporter(self._reporter, 0.0, _FIXES_SHARE, activity)
            graph, ranges = quantize_best(self._graph, self._job.data.train_images, plan, reporter=quiet)
            self._made.add(ranges)
            draft = Draft(model=model, graph=graph, kind=NumericKind.INT8)
            if self._lost_with(title, draft) <= most:
                break
        else:
            part = ScaledReporter(self._reporter, _FIXES_SHARE, 1.0)
            self._lost_with("quantization-aware training", train(part))
        return self._conclude(most)

    def _plans(self) -> Iterator[tuple[str, StaticPlan]]:
        plan = self._plan
        yield "best ranges by logits", plan
        for ranges in plan.ranges:
            if ranges not in self._made:  # what was best by logits has had its turn
                yield ranges.title, replace(plan, ranges=(ranges,))
        yield "equalized", replace(plan, equalize=True)
        yield "equalized, biases corrected", replace(plan, equalize=True, correct_bias=True)
        yield "biases corrected", replace(plan, correct_bias=True)
        worst = self._worst()
        for count in _FLOAT_LAYERS:
            if count >= len(worst):
                break
            names = [item.layer for item in worst[:count]]
            yield f"in float: {', '.join(names)}", replace(plan, keep=plan.keep | set(names))

    def _worst(self) -> list[LayerError]:
        plan, data = self._plan, self._job.data
        count = len(data.train_labels)
        found = layer_errors(
            self._graph,
            taken(data.train_images, plan.calibrating(count)),
            plan,
            scored=taken(data.train_images, plan.scoring(count, _SCORED)),
            reporter=QuietReporter(
                self._reporter, 0.0, _FIXES_SHARE, "Looking for the layers that lose most"
            ),
        )
        rows = [(item.layer, item.error, item.same) for item in found]
        self._reporter.table(f"{self._index}-layers", ("layer", "error", "same_answers"), rows)
        return found

    def _lost_with(self, title: str, draft: Draft) -> float:
        """Put a way down, and return what it loses."""
        accuracy = self._accuracy(draft.graph)
        integer, _ = integer_share(executed_graph(draft.graph))
        loss = self._whole - accuracy
        better = self._best is None or accuracy > self._best.accuracy
        if better:
            self._best = _Attempt(title=title, draft=draft, accuracy=accuracy)
        self._rows.append((title, accuracy, loss, integer, "kept" if better else "no better"))
        columns = ("fix", "accuracy", "loss", "integer_layers", "verdict")
        self._reporter.table(f"{self._index}-fixes", columns, self._rows)
        return loss

    def _accuracy(self, graph: onnx.ModelProto) -> float:
        return float((logits_of(graph, self._images).argmax(1) == self._labels).mean())

    def _conclude(self, most: float) -> Draft:
        best = self._best
        assert best is not None
        loss, count = self._whole - best.accuracy, len(self._labels)
        said = f"{best.title}: {loss:+.2%} of accuracy lost on {count} images for choices, {most:.2%} allowed"
        if loss <= most:
            self._reporter.log(said)
        else:
            self._reporter.log(
                f"{said}. Nothing that was tried loses less: train longer with method qat.", "warning"
            )
        return best.draft
