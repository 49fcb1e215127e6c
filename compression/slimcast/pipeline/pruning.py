"""The step `prune`."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from torch import nn

from slimcast.pipeline.costs import costs_of
from slimcast.pipeline.criterion_samples import criterion_samples
from slimcast.pipeline.job import Job
from slimcast.pipeline.sensitivity import ratios_from_sensitivity
from slimcast.pipeline.teachers import find_teacher
from slimcast.pipeline.training import plan_of
from slimcast.pipeline.zeros import zeros_to_hold
from slimcast.prune.evidence import Samples
from slimcast.prune.plan import PrunePlan
from slimcast.prune.regularize import regularizer
from slimcast.prune.search import Goal
from slimcast.prune.structured import PruneReport, prune
from slimcast.recipe import FinetuneStep, PruneStep, PruneTarget
from slimcast.records import Table
from slimcast.reporting import Reporter, ScaledReporter
from slimcast.train.fit import fit
from slimcast.train.recalibrate import reestimate_batch_norm

_RECOVERY_RATE = 0.5
"""Between pruning rounds: half of the network is new to the rest, and there is little time."""
_REGULARIZE_RATE = 0.25
_ROUND_EPOCHS = 0.2  # what cutting costs, in the time of an epoch
_CUT_SHARE = 0.2  # of a round's progress
_REGULARIZE_SEED, _NORM_SEED, _SAMPLE_SEED = (
    101,
    201,
    301,
)  # parts of the step, beside its rounds (at most 50)


def epochs_of(step: PruneStep) -> float:
    """Return how long the step takes, in the time of an epoch."""
    return _ROUND_EPOCHS * step.rounds + (step.rounds - 1) * step.finetune_epochs + _regularizing(step)


def _regularizing(step: PruneStep) -> float:
    return step.regularize.epochs if step.regularize else 0.0


def run_pruning(
    job: Job, index: int, step: PruneStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Return the pruned network."""
    work = _Pruning(job, index, step, reporter)
    if step.regularize is not None:
        work.regularize(model)
    pruned, report = prune(
        model,
        job.example,
        work.plan,
        reporter=work.reporter,
        samples=work.samples,
        after_cut=work.measure_norms if step.norm_batches else None,
        after_round=work.recover if step.finetune_epochs else None,
    )
    _tell(job, index, report, reporter)
    return pruned


class _Pruning:
    """One step `prune` of one run; its reporter covers what comes after regularizing."""

    def __init__(self, job: Job, index: int, step: PruneStep, reporter: ScaledReporter) -> None:
        self._job, self._index, self._step = job, index, step
        self._regularizing = ScaledReporter(reporter, 0.0, _regularizing(step) / epochs_of(step))
        self.reporter = ScaledReporter(reporter, _regularizing(step) / epochs_of(step), 1.0)

    @cached_property
    def plan(self) -> PrunePlan:
        """What is asked of `slimcast.prune`."""
        step = self._step
        shares = self._tolerated()
        goal = None if step.target is None else _goal(self._job, step.target, self.reporter)
        return PrunePlan(
            goal=goal,
            criterion=step.criterion,
            scope=step.scope,
            ratios=step.ratios if shares is None or goal is not None else shares,
            shares=shares,
            keep=step.keep,
            max_ratio=step.max_ratio,
            round_to=step.round_to,
            rounds=step.rounds,
            schedule=step.schedule,
            seed=self._job.seed(self._index),
        )

    @property
    def samples(self) -> Samples | None:
        """Training images for the criterion, where it needs any."""
        step = self._step
        seed = self._job.seed(self._index, _SAMPLE_SEED)
        return criterion_samples(self._job, step.criterion, images=step.criterion_images, seed=seed)

    def _tolerated(self) -> Mapping[str, float] | None:
        """Return what sensitivity allows, by the group's name; None where the step does not ask for it."""
        step = self._step
        if step.ratios_from is None:
            return None
        return ratios_from_sensitivity(self._job, self._index, step.max_drop)

    def regularize(self, model: nn.Module) -> None:
        """Train in place, with a penalty on unimportant channels."""
        how = self._step.regularize
        if how is None:
            return
        penalty = regularizer(how.kind, model, self._job.example, keep=self._step.keep, weight=how.weight)
        as_step = self._as_finetuning(
            how.epochs, how.learning_rate or self._rate(_REGULARIZE_RATE), teach=False
        )
        self._regularizing.progress(0.0, "Regularizing")
        plan = plan_of(self._job, self._index, as_step, model, self._regularizing)
        plan = replace(plan, seed=self._job.seed(self._index, _REGULARIZE_SEED))
        hold = zeros_to_hold(self._job, self._index, model)
        fit(
            model,
            self._job.data,
            plan,
            reporter=self._regularizing,
            after_backward=penalty,
            after_step=hold,
        )

    def measure_norms(self, model: nn.Module) -> None:
        """Measure the statistics of batch norms anew: what they normalise has changed."""
        reestimate_batch_norm(
            model,
            self._job.data,
            batches=self._step.norm_batches,
            batch_size=self._step.batch_size,
            seed=self._job.seed(self._index, _NORM_SEED),
            reporter=self.reporter,
        )

    def recover(self, model: nn.Module, round_index: int) -> None:
        """Train in place between two rounds."""
        step, job = self._step, self._job
        as_step = self._as_finetuning(
            step.finetune_epochs, step.finetune_rate or self._rate(_RECOVERY_RATE), teach=True
        )
        start, end = (round_index + _CUT_SHARE) / step.rounds, (round_index + 1) / step.rounds
        part = ScaledReporter(self.reporter, start, end)
        plan = replace(
            plan_of(job, self._index, as_step, model, part),
            seed=job.seed(self._index, round_index),
            epoch_offset=_regularizing(step) + round_index * step.finetune_epochs,
        )
        teacher = find_teacher(job, self._index, step.distill.teacher) if step.distill else None
        hold = zeros_to_hold(job, self._index, model)
        fit(model, job.data, plan, reporter=part, teacher=teacher, after_step=hold)

    def _as_finetuning(self, epochs: float, rate: float, *, teach: bool) -> FinetuneStep:
        return FinetuneStep(
            kind="finetune",
            epochs=epochs,
            learning_rate=rate,
            optimizer=self._step.optimizer,
            batch_size=self._step.batch_size,
            distill=self._step.distill if teach else None,
        )

    def _rate(self, share: float) -> float:
        return self._job.learning_rate(self._step.optimizer, share=share)


def _goal(job: Job, target: PruneTarget, reporter: Reporter) -> Goal:
    if target.measure == "channels":
        return Goal(cost=None, value=target.value)
    name = "size_bytes" if target.measure == "bytes" else target.measure
    return Goal(cost=costs_of(job, target.numbers, reporter=reporter)[name], value=target.value)


def _tell(job: Job, index: int, report: PruneReport, reporter: Reporter) -> None:
    reporter.log(
        f"Pruned from {report.macs_before:,} to {report.macs:,} multiply-accumulates, "
        f"from {report.parameters_before:,} to {report.parameters:,} parameters"
    )
    table = Table(
        name=f"{index}-channels",
        columns=("layers", "channels before", "channels"),
        rows=report.channels,
    )
    job.store.save_table(job.run_id, table)
