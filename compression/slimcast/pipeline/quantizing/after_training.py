"""Methods that change only the exported graph: nothing is trained."""

from torch import nn

from slimcast.models.layers import check_patterns, matches, weighted_layers
from slimcast.pipeline.drafts import Draft, float_graph
from slimcast.pipeline.job import Job
from slimcast.quantize.dynamic import quantize_dynamic
from slimcast.quantize.float16 import to_float16
from slimcast.recipe import DynamicQuantize, Float16Quantize
from slimcast.reporting import ScaledReporter
from slimcast_edge.artifact import NumericKind


def run_dynamic(
    job: Job, _index: int, _step: DynamicQuantize, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Quantize linear layers, their activations at run time."""
    graph = quantize_dynamic(float_graph(job, model), reporter=reporter)
    return Draft(model=model, graph=graph, kind=NumericKind.INT8)


def run_float16(
    job: Job, _index: int, step: Float16Quantize, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Bring the graph to half precision."""
    layers = weighted_layers(model)
    check_patterns(step.keep, layers, "keep")
    keep = {name for name in layers if matches(name, step.keep)}
    graph = to_float16(float_graph(job, model), keep=keep, reporter=reporter)
    return Draft(model=model, graph=graph, kind=NumericKind.FLOAT16)
