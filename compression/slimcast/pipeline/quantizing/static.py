"""Static int8, with an accuracy budget where the step has one."""

from torch import nn

from slimcast.models.layers import check_patterns, matches, weighted_layers
from slimcast.pipeline.drafts import Draft, float_graph
from slimcast.pipeline.job import Job
from slimcast.pipeline.quantizing.budget import Budget
from slimcast.pipeline.quantizing.qat import run_qat
from slimcast.quantize.qdq import Ranges
from slimcast.quantize.static import CANDIDATES, StaticPlan, quantize
from slimcast.recipe import QatQuantize, StaticQuantize
from slimcast.reporting import ScaledReporter
from slimcast_edge.artifact import NumericKind


def run_static(
    job: Job, index: int, step: StaticQuantize, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Quantize weights and activations, calibrated on training images.

    Raises:
        StepError: the quantizer fails, or nothing runs in integer kernels.
        Cancelled: somebody cancelled the run.
    """
    reporter.progress(0.0, "Exporting")
    graph = float_graph(job, model)
    layers = weighted_layers(model)
    check_patterns(step.keep, layers, "keep")
    plan = StaticPlan(
        activations=step.activations,
        samples=step.calibration_samples,
        seed=job.seed(index),
        ranges=_ranges(step),
        keep=frozenset(name for name in layers if matches(name, step.keep)),
        equalize=step.equalize,
        correct_bias=step.correct_bias,
    )
    if step.max_loss is not None:
        trained = QatQuantize(
            kind="quantize",
            method="qat",
            activations=step.activations,
            calibration_samples=step.calibration_samples,
            keep=step.keep,
        )
        budget = Budget(job, index, graph, plan, reporter)
        return budget.spend(step.max_loss, model, lambda part: run_qat(job, index, trained, model, part))
    quantized = quantize(graph, job.data.train_images, plan, reporter=reporter)
    return Draft(model=model, graph=quantized, kind=NumericKind.INT8)


def _ranges(step: StaticQuantize) -> tuple[Ranges, ...]:
    """Return the ways to find ranges that the step leaves open."""
    fitting = [
        ranges
        for ranges in CANDIDATES
        if step.calibration in ("auto", ranges.method) and step.per_channel in (None, ranges.per_channel)
    ]
    if fitting or step.calibration == "auto":
        return tuple(fitting)
    return (Ranges(method=step.calibration, per_channel=bool(step.per_channel)),)
