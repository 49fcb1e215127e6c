"""The steps `train` and `finetune`."""

from torch import nn

from slimcast.catalog import MODELS
from slimcast.pipeline.job import Job, baseline
from slimcast.pipeline.sparsifying import zeros_to_hold
from slimcast.recipe import FinetuneStep, TrainStep
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan

_FINETUNE_RATE = 0.1  # of the network's rate for training from scratch


def epochs_of(step: TrainStep | FinetuneStep) -> float:
    """Return how long the step trains."""
    return step.epochs


def run_training(
    job: Job, index: int, step: TrainStep | FinetuneStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Train in place, with the unpruned network as teacher where the step asks for one.

    Weights that a step `sparsify` has emptied stay zero.
    """
    rate = MODELS[job.recipe.model.name].learning_rate
    distill = step.distill if isinstance(step, FinetuneStep) else None
    if isinstance(step, FinetuneStep):
        rate *= _FINETUNE_RATE
    plan = TrainingPlan(
        epochs=step.epochs,
        batch_size=step.batch_size,
        learning_rate=step.learning_rate or rate,
        optimizer=step.optimizer,
        weight_decay=step.weight_decay,
        label_smoothing=step.label_smoothing,
        augment=step.augment,
        seed=job.seed(index),
        temperature=distill.temperature if distill else 1.0,
        teacher_weight=distill.weight if distill else 0.0,
        step=index,
    )
    teacher = baseline(job, index) if distill else None
    hold = zeros_to_hold(job, index, model)
    fit(model, job.data, plan, reporter=reporter, teacher=teacher, after_step=hold)
    return model
