"""The step `sparsify`, and how the steps after it keep its zeros."""

from collections.abc import Callable

from torch import nn

from slimcast.catalog import MODELS
from slimcast.pipeline.job import Job
from slimcast.pipeline.precision import precision_for
from slimcast.prune.unstructured import LayerSparsity, SparsityPlan, sparsify, sparsity_of, zeros_held
from slimcast.recipe import SparsifyStep
from slimcast.records import Table
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan

_RECOVERY_RATE = 0.5  # of the network's rate: there is little time between rounds
_ROUND_EPOCHS = 0.02
_BATCH = 128


def epochs_of(step: SparsifyStep) -> float:
    """Return how long the step takes, in the time of an epoch."""
    return _ROUND_EPOCHS * step.rounds + (step.rounds - 1) * step.finetune_epochs


def zeros_to_hold(job: Job, index: int, model: nn.Module) -> Callable[[nn.Module], None] | None:
    """Return what keeps a network's zeros while it is trained; None where no step has sparsified it."""
    sparsified = any(step.kind == "sparsify" for step in job.recipe.steps[:index])
    return zeros_held(model) if sparsified else None


def run_sparsifying(
    job: Job, index: int, step: SparsifyStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Return the network with its smallest weights at zero."""
    plan = SparsityPlan(
        ratio=step.ratio,
        scope=step.scope,
        kept_of=step.kept_of,
        ratios=step.ratios,
        keep=step.keep,
        rounds=step.rounds,
    )

    def recover(trained: nn.Module, round_index: int) -> None:
        if step.finetune_epochs:
            _recover(job, index, step, trained, round_index, reporter)

    sparse = sparsify(model, plan, reporter=reporter, after_round=recover)
    _tell(job, index, sparsity_of(sparse), reporter)
    return sparse


def _recover(
    job: Job,
    index: int,
    step: SparsifyStep,
    trained: nn.Module,
    round_index: int,
    reporter: ScaledReporter,
) -> None:
    plan = TrainingPlan(
        epochs=step.finetune_epochs,
        learning_rate=MODELS[job.recipe.model.name].learning_rate * _RECOVERY_RATE,
        precision=precision_for(job, trained, batch_size=_BATCH, reporter=reporter),
        batch_size=_BATCH,
        seed=job.seed(index, round_index),
        step=index,
        epoch_offset=round_index * step.finetune_epochs,
    )
    part = ScaledReporter(reporter, round_index / step.rounds, (round_index + 1) / step.rounds)
    fit(trained, job.data, plan, reporter=part, after_step=zeros_held(trained))


def _tell(job: Job, index: int, layers: list[LayerSparsity], reporter: ScaledReporter) -> None:
    zeros, weights = (sum(getattr(layer, name) for layer in layers) for name in ("zeros", "weights"))
    reporter.log(
        f"Sparsified: {zeros / weights:.1%} of {weights:,} weights are zero. That makes the compressed file "
        "smaller; dense kernels gain no speed from scattered zeros, and the file itself keeps its size."
    )
    empty = [layer.name for layer in layers if layer.zeros == layer.weights]
    if empty:
        reporter.log(f"No weight is left in: {', '.join(empty)}. What they compute is constant.", "warning")
    if zeros == 0:
        reporter.log("No weight has become zero: the ratio is too small to change anything.", "warning")
    rows = tuple((one.name, one.weights, one.zeros, one.zeros / one.weights) for one in layers)
    columns = ("layer", "weights", "zeros", "sparsity")
    job.store.save_table(job.run_id, Table(name=f"{index}-sparsity", columns=columns, rows=rows))
