"""What a step leaves to be packed: the network, and its graph as the artifact will hold it."""

from dataclasses import dataclass

import onnx
from torch import nn

from slimcast.data.load import input_for
from slimcast.export.onnx_export import export_onnx
from slimcast.pipeline.job import Job
from slimcast.recipe import QuantizeStep
from slimcast_edge.artifact import InputSpec, NumericKind

BASELINE_STEP = -1
BASELINE = "baseline"
"""Index and name of what comes before all steps: trained weights that a run was given."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A network and its graph.

    Attributes:
        model: goes into the checkpoint, and its answers are what the artifact's are compared with.
        graph: uint8 image in, logits out.
        kind: in which numbers the graph stores and computes.
    """

    model: nn.Module
    graph: onnx.ModelProto
    kind: NumericKind


def input_of(job: Job) -> InputSpec:
    """Return what images the job's network takes, and how a frame becomes one."""
    return input_for(job.recipe.data, side=job.network.image_size, channels=job.network.channels)


def float_graph(job: Job, model: nn.Module) -> onnx.ModelProto:
    """Export in float32.

    Raises:
        ModelError: the network does something that cannot be exported.
    """
    return export_onnx(
        model, size=input_of(job), mean=job.data.mean, std=job.data.std, classes=job.network.classes
    )


def float_draft(job: Job, model: nn.Module) -> Draft:
    """Return the draft of a step that computes in float32."""
    return Draft(model=model, graph=float_graph(job, model), kind=NumericKind.FLOAT32)


def step_kind(job: Job, index: int) -> str:
    """Return of what kind a step is; ``baseline`` for the network that the run was given."""
    return BASELINE if index == BASELINE_STEP else job.recipe.steps[index].kind


def variant_name(job: Job, index: int) -> str:
    """Return what the variant of a step is called."""
    if index == BASELINE_STEP:
        return BASELINE
    step = job.recipe.steps[index]
    return f"{index}-{step.label if isinstance(step, QuantizeStep) else step.kind}"
