"""The steps `train` and `finetune`."""

from contextlib import nullcontext

from torch import nn

from slimcast.models.head import frozen_backbone
from slimcast.pipeline.job import Job
from slimcast.pipeline.precision import precision_for
from slimcast.pipeline.teachers import find_teacher
from slimcast.pipeline.zeros import zeros_to_hold
from slimcast.recipe import FinetuneStep, TrainStep
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import fit
from slimcast.train.plan import Augmentation, TrainingPlan
from slimcast.train.recalibrate import reestimate_batch_norm

_FINETUNE_RATE = 0.1  # of the network's rate for training from scratch


def epochs_of(step: TrainStep | FinetuneStep) -> float:
    """Return how long the step trains."""
    return step.epochs


def run_training(
    job: Job, index: int, step: TrainStep | FinetuneStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Train in place, with a teacher where the step names one.

    Weights that a step `sparsify` has emptied stay zero.
    """
    teacher = find_teacher(job, index, step.distill.teacher) if step.distill else None
    plan = plan_of(job, index, step, model, reporter)
    hold = zeros_to_hold(job, index, model)
    # Compressing changes the backbone, so what is trained after that is trained as a whole.
    head_only = isinstance(step, TrainStep) and job.recipe.model.freeze_backbone
    with frozen_backbone(model) if head_only else nullcontext():
        fit(model, job.data, plan, reporter=reporter, teacher=teacher, after_step=hold)
    if step.recalibrate_batches:
        count = reestimate_batch_norm(
            model,
            job.data,
            batches=step.recalibrate_batches,
            batch_size=step.batch_size,
            seed=job.seed(index, 1),
            reporter=reporter,
        )
        reporter.log(f"Measured the statistics of {count} batch norms anew")
    return model


def plan_of(
    job: Job, index: int, step: TrainStep | FinetuneStep, model: nn.Module, reporter: ScaledReporter
) -> TrainingPlan:
    """Return the training that a step asks for; how to compute is probed for this network."""
    distill = step.distill
    return TrainingPlan(
        epochs=step.epochs,
        batch_size=step.batch_size,
        learning_rate=step.learning_rate or _default_rate(job, step),
        optimizer=step.optimizer,
        weight_decay=step.weight_decay,
        schedule=step.schedule,
        warmup_epochs=step.warmup_epochs,
        label_smoothing=step.label_smoothing,
        augment=Augmentation(**step.augment.model_dump()),
        gradient_clip=step.gradient_clip or None,
        ema_decay=step.ema_decay,
        patience=step.patience,
        precision=precision_for(
            job,
            model,
            batch_size=step.batch_size,
            numbers=step.precision,
            channels_last=step.channels_last,
            reporter=reporter,
        ),
        seed=job.seed(index),
        temperature=distill.temperature if distill else 1.0,
        teacher_weight=distill.weight if distill else 0.0,
        feature_weight=distill.feature_weight if distill and distill.features else 0.0,
        step=index,
    )


def _default_rate(job: Job, step: TrainStep | FinetuneStep) -> float:
    share = _FINETUNE_RATE if isinstance(step, FinetuneStep) else 1.0
    return job.learning_rate(step.optimizer, share=share)
