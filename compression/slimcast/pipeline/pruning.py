"""The step `prune`."""

from torch import nn

from slimcast.catalog import MODELS
from slimcast.pipeline.job import Job
from slimcast.pipeline.sparsifying import zeros_to_hold
from slimcast.prune.structured import prune
from slimcast.recipe import PruneStep
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan

_RECOVERY_RATE = 0.5
"""Between pruning rounds: half of the network is new to the rest, and there is little time."""
_ROUND_EPOCHS = 0.2  # what cutting costs, in the time of an epoch


def epochs_of(step: PruneStep) -> float:
    """Return how long the step takes, in the time of an epoch."""
    return _ROUND_EPOCHS * step.rounds + (step.rounds - 1) * step.finetune_epochs


def run_pruning(
    job: Job, index: int, step: PruneStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Return the pruned network."""
    rate = MODELS[job.recipe.model.name].learning_rate * _RECOVERY_RATE

    def recover(trained: nn.Module, round_index: int) -> None:
        if not step.finetune_epochs:
            return
        plan = TrainingPlan(
            epochs=step.finetune_epochs,
            learning_rate=rate,
            seed=job.seed(index, round_index),
            step=index,
            epoch_offset=round_index * step.finetune_epochs,
        )
        part = ScaledReporter(reporter, (round_index + 0.2) / step.rounds, (round_index + 1) / step.rounds)
        hold = zeros_to_hold(job, index, trained)
        fit(trained, job.data, plan, reporter=part, after_step=hold)

    pruned, report = prune(
        model,
        job.example,
        criterion=step.criterion,
        macs=step.target.macs,
        rounds=step.rounds,
        round_to=step.round_to,
        reporter=reporter,
        after_round=recover,
    )
    reporter.log(
        f"Pruned from {report.macs_before:,} to {report.macs:,} multiply-accumulates, "
        f"from {report.parameters_before:,} to {report.parameters:,} parameters"
    )
    return pruned
