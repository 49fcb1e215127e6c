"""Methods that round weights with optimum-quanto: after training, or while the network is trained on."""

import onnx
from torch import nn

from slimcast.export.integer_kernels import use_integer_kernels
from slimcast.models.quanto import freeze
from slimcast.pipeline.criterion_samples import training_images
from slimcast.pipeline.drafts import Draft, float_graph
from slimcast.pipeline.job import Job
from slimcast.pipeline.training import run_training
from slimcast.quantize.quanto import WeightPlan, check_weights, rounding_errors, with_low_bits
from slimcast.quantize.quanto_activations import calibrate
from slimcast.recipe import FinetuneStep, MixedQuantize, QuantoQuantize, RoundedQuantize, WeightOnlyQuantize
from slimcast.records import Table
from slimcast.reporting import Reporter, ScaledReporter
from slimcast_edge.artifact import NumericKind

_TRAINING_SHARE = 0.95
_BATCH = 32
_INTEGERS = {"int8", "int4", "int2"}


def epochs_of(step: WeightOnlyQuantize) -> float:
    """Return how long the step takes, in epochs of training."""
    return step.epochs + 0.2


def run_weight_only(
    job: Job, index: int, step: WeightOnlyQuantize, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Round the weights, trained with their rounding where the step says so; activations stay in float.

    Raises:
        StepError: a weight is no number, or nothing is left to be rounded.
        Cancelled: somebody cancelled the run.
    """
    plan = WeightPlan(weights=step.weights, keep=step.keep, ends=step.ends)
    rounded = _rounded(job, index, step, plan, model, reporter)
    reporter.log(
        f"{step.weights} weights make the file smaller, and nothing faster: the runtime unpacks them to "
        "float when it loads the file"
    )
    freeze(rounded)
    return Draft(model=rounded, graph=float_graph(job, rounded), kind=NumericKind.WEIGHT_ONLY)


def run_quanto(
    job: Job, index: int, step: QuantoQuantize, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Round weights as `run_weight_only` does, then activations within their range on training images.

    Raises:
        StepError: a weight or an activation is no number, or a layer is never reached.
        Cancelled: somebody cancelled the run.
    """
    plan = WeightPlan(weights=step.weights, keep=step.keep, ends=step.ends, activations=step.activations)
    rounded = _rounded(job, index, step, plan, model, reporter)
    graph = calibrated_graph(job, index, step, rounded, reporter)
    if step.activations == "int8" and step.weights in _INTEGERS:
        return Draft(model=rounded, graph=graph, kind=NumericKind.INT8)
    reporter.log(
        f"ONNX Runtime has no kernel for {step.weights} weights with {step.activations} activations: it "
        "computes in float and rounds activations at each call, which takes time. It shows what such numbers "
        "cost in accuracy, for devices that have kernels",
        "warning",
    )
    return Draft(model=rounded, graph=graph, kind=NumericKind.WEIGHT_ONLY)


def _rounded(
    job: Job,
    index: int,
    step: WeightOnlyQuantize,
    plan: WeightPlan,
    model: nn.Module,
    reporter: ScaledReporter,
) -> nn.Module:
    """Return the network with rounded weights, trained, not frozen yet."""
    rounded = with_low_bits(model, plan, reporter=reporter)
    train_rounded(job, index, step, rounded, ScaledReporter(reporter, 0.0, _TRAINING_SHARE))
    note_rounding(job, index, rounded, reporter)
    return rounded


def train_rounded(
    job: Job, index: int, step: RoundedQuantize, rounded: nn.Module, reporter: ScaledReporter
) -> None:
    """Train a network in place with its weights rounded, as long as the step says.

    Raises:
        StepError: a weight is no number in the end.
        Cancelled: somebody cancelled the run.
    """
    if not step.epochs:
        return
    training = FinetuneStep(
        kind="finetune",
        epochs=step.epochs,
        batch_size=step.batch_size,
        learning_rate=step.learning_rate,
        optimizer=step.optimizer,
        distill=step.distill,
    )
    run_training(job, index, training, rounded, reporter)
    check_weights(rounded)


def note_rounding(job: Job, index: int, rounded: nn.Module, reporter: Reporter) -> None:
    """Keep as a table what rounding does to each layer's weights, and say which loses most."""
    found = rounding_errors(rounded)
    rows = tuple((one.name, one.weights, one.values, one.error) for one in found)
    columns = ("layer", "weights", "values", "error")
    job.store.save_table(job.run_id, Table(name=f"{index}-rounding", columns=columns, rows=rows))
    worst = max(found, key=lambda one: one.error)
    reporter.log(f"Rounded the weights of {len(found)} layers; {worst.name} lost most: {worst.error:.1%}")


def calibrated_graph(
    job: Job, index: int, step: QuantoQuantize | MixedQuantize, rounded: nn.Module, reporter: Reporter
) -> onnx.ModelProto:
    """Find the ranges of activations, freeze the network, and return its graph with integer kernels.

    Raises:
        StepError: an activation is no number, or a layer is never reached.
        Cancelled: somebody cancelled the run.
    """
    images, _ = training_images(job, step.calibration_samples, seed=job.seed(index))
    calibrate(rounded, images.split(_BATCH), step.activations, reporter=reporter)
    freeze(rounded)
    return use_integer_kernels(float_graph(job, rounded))
