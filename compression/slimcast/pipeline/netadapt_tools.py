"""What NetAdapt asks to be done to a network, done with this job's data, table and runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from slimcast.catalog import CRITERIA, MODELS
from slimcast.data.choice import images_for_choice
from slimcast.data.files import taken
from slimcast.data.images import ImageData
from slimcast.data.subset import subset
from slimcast.errors import StepError
from slimcast.measure.clock import DeviceClock
from slimcast.measure.cost import Cost
from slimcast.measure.layers import LayerShape
from slimcast.measure.trace import layers_of
from slimcast.pipeline.costs import costs_of, device_latency
from slimcast.pipeline.criterion_samples import criterion_samples
from slimcast.pipeline.job import Job
from slimcast.pipeline.layer_costs import layer_cost
from slimcast.pipeline.precision import precision_for
from slimcast.pipeline.zeros import zeros_to_hold
from slimcast.prune.evidence import Evidence
from slimcast.prune.groups import ChannelGroup, find_groups, remove
from slimcast.prune.narrow import Adjustable, Reach
from slimcast.prune.ranking import Candidate, candidate
from slimcast.prune.verify import check_cut
from slimcast.recipe import NetAdaptStep
from slimcast.reporting import Reporter
from slimcast.train.evaluate import accuracy_on
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan

_RATE = 0.2  # of the network's own: most of the weights are good already
_COSTS = {"latency_ms": "latency_ms", "macs": "macs", "bytes": "size_bytes"}
_INT8_METHODS = {"static", "qat"}
_TRAININGS = 1000
"""Seeds of an iteration's trainings begin so far from those of the one before."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What was found out about a network."""

    model: nn.Module
    groups: Sequence[ChannelGroup]
    candidates: Mapping[str, Candidate]
    adjustable: Sequence[Adjustable]


class NetAdaptTools:
    """Implements `slimcast.prune.netadapt.Tools` for torch networks.

    Attributes:
        budget: the cost that there is a target for. choice_count: images by which proposals are judged.
    """

    def __init__(
        self, job: Job, index: int, step: NetAdaptStep, model: nn.Module, reporter: Reporter
    ) -> None:
        """Prepare; `model` is the network before anything was cut."""
        self._job, self._index, self._step, self._reporter = job, index, step, reporter
        numbers = step.target.numbers or final_numbers(job)
        clock = _clock(job, step.device, reporter)
        self.budget: Cost = (
            device_latency(job, numbers, clock, reporter=reporter)
            if clock is not None
            else costs_of(job, numbers, reporter=reporter)[_COSTS[step.target.measure]]
        )
        self._layer_cost = layer_cost(job, model, self.budget.name, numbers, reporter, clock)
        images, labels = images_for_choice(job.data)
        chosen = subset(labels, min(step.choice_images, len(labels)), seed=job.recipe.seed)
        self._images, self._labels = taken(images, chosen), labels[chosen]
        self.choice_count = len(self._labels)
        self._found: _Found | None = None
        self._rate = step.learning_rate or MODELS[job.recipe.model.name].learning_rate * _RATE
        self._precision = precision_for(job, model, batch_size=step.batch_size, reporter=reporter)

    @property
    def exact(self) -> bool:
        """Whether the budget is of something counted."""
        return self.budget.exact

    def layers(self, model: nn.Module) -> Mapping[str, LayerShape]:
        """Return the convolutions and linear layers."""
        return layers_of(model, self._job.example)

    def groups(self, model: nn.Module) -> Sequence[Adjustable]:
        """Return all groups of channels but those that the recipe keeps."""
        return self._look(model).adjustable

    def cost(self, name: str, layer: LayerShape) -> float:
        """Return what a layer costs."""
        return self._layer_cost(name, layer)

    def measure(self, model: nn.Module) -> float:
        """Return what the whole network costs: exported and measured, or counted."""
        return self.budget.of(model)

    def show(self, value: float) -> str:
        """Return a cost with its unit."""
        return self.budget.show(value)

    def narrow(self, model: nn.Module, group: Adjustable, width: int) -> nn.Module:
        """Return a copy without the group's least important channels.

        Raises:
            StepError: Torch-Pruning got the group wrong.
        """
        found = self._look(model)
        removed = {group.name: found.candidates[group.name].removed(width)}
        narrower = remove(model, found.groups, removed)
        check_cut(model, narrower, self._job.example, groups=found.groups, removed=removed)
        return narrower

    def train(self, model: nn.Module, iteration: int, proposal: int, reporter: Reporter) -> None:
        """Train for the batches that the recipe gives a proposal."""
        batches = self._step.short_finetune_batches
        if not batches:
            return
        per_epoch = max(1, len(self._job.data.train_labels) // self._step.batch_size)
        seed = self._job.seed(self._index, iteration * _TRAININGS + proposal)
        # Half a batch less: `fit` rounds up to whole ones.
        self._fit(model, _unjudged(self._job.data), (batches - 0.5) / per_epoch, seed, reporter)

    def train_long(self, model: nn.Module, reporter: Reporter) -> None:
        """Train for the epochs that the recipe gives the result."""
        if self._step.finetune_epochs:
            self._fit(
                model, self._job.data, self._step.finetune_epochs, self._job.seed(self._index), reporter
            )

    def accuracy(self, model: nn.Module) -> float:
        """Return the accuracy on the images for choices, 0..1."""
        return accuracy_on(model, self._images, self._labels, self._job.data, reporter=self._reporter)

    def _fit(self, model: nn.Module, data: ImageData, epochs: float, seed: int, reporter: Reporter) -> None:
        plan = TrainingPlan(
            epochs=epochs,
            batch_size=self._step.batch_size,
            learning_rate=self._rate,
            precision=self._precision,
            seed=seed,
            step=self._index,
        )
        hold = zeros_to_hold(self._job, self._index, model)
        fit(model, data, plan, reporter=reporter, after_step=hold)

    def _look(self, model: nn.Module) -> _Found:
        """Find groups and rank their channels, once for each network."""
        if self._found is None or self._found.model is not model:
            self._found = self._find(model)
        return self._found

    def _find(self, model: nn.Module) -> _Found:
        step, job = self._step, self._job
        groups = find_groups(model, job.example, keep=step.keep)
        seed = job.seed(self._index)
        samples = criterion_samples(job, step.criterion, images=step.criterion_images, seed=seed)
        evidence = Evidence(model=model, samples=samples, seed=seed)
        scores = CRITERIA[step.criterion].load()(groups, evidence)
        candidates = {
            group.name: candidate(
                group,
                scores[group.name],
                initial=group.channels,
                round_to=step.round_to,
                max_ratio=1.0,
            )
            for group in groups
            if group.name in scores
        }
        adjustable = [adjustable_of(candidates[g.name]) for g in groups if g.name in candidates]
        return _Found(model=model, groups=groups, candidates=candidates, adjustable=adjustable)


def _clock(job: Job, device: str, reporter: Reporter) -> DeviceClock | None:
    """Return the device that the recipe names; None where this machine counts.

    Raises:
        StepError: this run cannot reach devices. SlimcastError: that device cannot be reached.
    """
    if not device:
        return None
    if job.clocks is None:
        raise StepError(
            f"The recipe wants latencies of the device {device!r}, and this run has no way to devices. "
            "Run it with: slimcast run"
        )
    clock = job.clocks(device)
    reporter.log(f"Latencies are those of {clock.machine} ({clock.runtime}, {clock.threads} threads)")
    return clock


def adjustable_of(choice: Candidate) -> Adjustable:
    """Return a group as NetAdapt sees it."""
    group = choice.group
    reaches = tuple(
        Reach(layer=part.layer, side=part.kind, per_channel=len(part.indices) / group.channels)
        for part in group.parts
        if part.kind in ("in", "out")
    )
    return Adjustable(name=group.name, channels=group.channels, widths=choice.widths[1:], reaches=reaches)


def final_numbers(job: Job) -> str:
    """Return in which numbers the recipe's last artifact computes."""
    last = job.recipe.steps[-1]
    return "int8" if last.kind == "quantize" and last.method in _INT8_METHODS else "float32"


def _unjudged(data: ImageData) -> ImageData:
    """Return data without images to judge by: that is for `accuracy` to do, and never on test images."""
    return replace(
        data,
        test_images=data.train_images[:1],
        test_labels=data.train_labels[:1],
        validation_images=None,
        validation_labels=None,
    )
