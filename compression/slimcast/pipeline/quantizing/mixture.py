"""Which mixture of widths keeps to a budget, judged by the files that mixtures make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from torch import nn

from slimcast.data.choice import some_for_choice
from slimcast.errors import StepError
from slimcast.models.quanto import freeze, quanto_layers
from slimcast.pipeline.costs import file_bytes
from slimcast.pipeline.drafts import Draft, float_graph
from slimcast.pipeline.job import Job
from slimcast.pipeline.quantizing.quanto import calibrated_graph
from slimcast.quantize.allocation import Allocation, Choice, allocations, filled
from slimcast.quantize.quanto import with_formats
from slimcast.quantize.runs import logits_of
from slimcast.quantize.widths import FLOAT
from slimcast.recipe import MixedQuantize
from slimcast.reporting import QuietReporter, ScaledReporter
from slimcast.train.evaluate import accuracy_on
from slimcast_edge.artifact import NumericKind

_JUDGED = 2000


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """Makes networks and drafts of mixtures. `model`: in float, is left as it is."""

    job: Job
    index: int
    step: MixedQuantize
    model: nn.Module

    @property
    def activations(self) -> str:
        """Return in what activations are rounded, "" for float."""
        return "" if self.step.activations == FLOAT else self.step.activations

    def rounded(self, allocation: Allocation) -> nn.Module:
        """Return the network with these widths; it can be trained."""
        formats = {name: choice.width for name, choice in allocation.items() if choice.width != FLOAT}
        return with_formats(self.model, formats, self.activations)

    def finished(self, rounded: nn.Module, reporter: ScaledReporter) -> Draft:
        """Freeze a network and export it; activations are rounded where the step says so.

        Raises:
            StepError: an activation is no number, or a layer is never reached.
        """
        if not quanto_layers(rounded):
            return Draft(model=rounded, graph=float_graph(self.job, rounded), kind=NumericKind.FLOAT32)
        if self.activations:
            graph = calibrated_graph(self.job, self.index, self.step, rounded, reporter)
            return Draft(model=rounded, graph=graph, kind=NumericKind.INT8)
        freeze(rounded)
        return Draft(model=rounded, graph=float_graph(self.job, rounded), kind=NumericKind.WEIGHT_ONLY)


class Chooser:
    """Walks along the allocations, from the most exact one to the smallest, as far as the budget says."""

    def __init__(self, mixer: Mixer, choices: Sequence[Choice], reporter: ScaledReporter) -> None:
        self._mixer, self._choices, self._reporter = mixer, choices, reporter
        self._path = allocations(choices)
        self._widths = ", ".join(mixer.step.widths)
        self._quiet = QuietReporter(reporter, 0.5, 1.0, "Looking for the best mixture of widths")

    def choose(self) -> Allocation:
        """Return the allocation that keeps to the step's budget.

        Raises:
            StepError: none is as small as asked for.
            Cancelled: somebody cancelled the run.
        """
        target = self._mixer.step.target
        if target.measure == "bytes":
            return self._within_bytes(target.value)
        return self._within_loss(target.value)

    def _within_bytes(self, target: float) -> Allocation:
        """Return the most exact allocation whose file is small enough."""
        budget = target if target >= 1 else target * self._file_bytes(self._widest())

        @cache
        def size(at: int) -> int:
            return self._file_bytes(self._path[at])

        position = _first(len(self._path), lambda at: size(at) <= budget)
        if position is None:
            raise StepError(
                f"target.bytes: the smallest mixture of {self._widths} takes "
                f"{size(len(self._path) - 1):,} bytes, and {budget:,.0f} are allowed. Prune first, "
                "allow narrower widths, or raise the target."
            )
        found = self._path[position]
        fuller = filled(found, self._choices, budget - size(position))
        return fuller if fuller == found or self._file_bytes(fuller) <= budget else found

    def _within_loss(self, most: float) -> Allocation:
        """Return the smallest allocation that is found to lose little enough, on images for choices."""
        job = self._mixer.job
        images, labels = some_for_choice(job.data, _JUDGED, seed=job.recipe.seed)
        whole = accuracy_on(self._mixer.model, images, labels, job.data, reporter=self._quiet)

        @cache
        def loss(at: int) -> float:
            graph = self._draft(self._path[at]).graph
            return whole - float((logits_of(graph, images).argmax(1) == labels).mean())

        beyond = _first(len(self._path), lambda at: loss(at) > most)
        at = len(self._path) - 1 if beyond is None else max(0, beyond - 1)
        said = f"{loss(at):+.2%} of accuracy lost on {len(labels)} images for choices, {most:.2%} allowed"
        if loss(at) <= most:
            self._reporter.log(said)
        else:
            self._reporter.log(
                f"{said}, by the most exact mixture of {self._widths}: it is taken. Add float to the widths, "
                "or train with epochs.",
                "warning",
            )
        return self._path[at]

    def _widest(self) -> Allocation:
        found: Allocation = {}
        for choice in self._choices:
            known = found.setdefault(choice.layer, choice)
            if choice.size_bytes > known.size_bytes:
                found[choice.layer] = choice
        return found

    def _file_bytes(self, allocation: Allocation) -> int:
        return file_bytes(self._mixer.job, self._draft(allocation))

    def _draft(self, allocation: Allocation) -> Draft:
        self._reporter.check_cancelled()
        return self._mixer.finished(self._mixer.rounded(allocation), self._quiet)


def _first(count: int, holds: Callable[[int], bool]) -> int | None:
    """Return the first of `count` positions from which on something holds, by halving; None: nowhere."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low if low < count else None
