"""The step `sparsify`."""

from dataclasses import replace

from torch import nn

from slimcast.pipeline.job import Job
from slimcast.pipeline.training import plan_of
from slimcast.prune.unstructured import LayerSparsity, SparsityPlan, sparsify, sparsity_of, zeros_held
from slimcast.recipe import FinetuneStep, SparsifyStep
from slimcast.records import Table
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import fit

_RECOVERY_RATE = 0.5  # of the network's rate: there is little time between rounds
_ROUND_EPOCHS = 0.02
_BATCH = 128


def epochs_of(step: SparsifyStep) -> float:
    """Return how long the step takes, in the time of an epoch."""
    return _ROUND_EPOCHS * step.rounds + (step.rounds - 1) * step.finetune_epochs


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
    part = ScaledReporter(reporter, round_index / step.rounds, (round_index + 1) / step.rounds)
    as_step = FinetuneStep(
        kind="finetune",
        epochs=step.finetune_epochs,
        learning_rate=step.finetune_rate or job.learning_rate(step.optimizer, share=_RECOVERY_RATE),
        optimizer=step.optimizer,
        batch_size=step.batch_size,
    )
    plan = replace(
        plan_of(job, index, as_step, trained, part),
        seed=job.seed(index, round_index),
        epoch_offset=round_index * step.finetune_epochs,
    )
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
