"""The artifact of a step: exported, quantized where the step says so, measured, kept."""

from collections.abc import Callable
from typing import Any

from torch import nn

from slimcast.catalog import QUANTIZERS
from slimcast.export.make import Artifact, make_artifact
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.measure.files import facts_of
from slimcast.measure.report import measurements
from slimcast.models.state import save_state
from slimcast.pipeline.job import Job
from slimcast.recipe import QuantizeStep
from slimcast.records import Checkpoint, Variant
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import logits_of
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.bench import describe_machine


def save(job: Job, index: int, model: nn.Module, reporter: ScaledReporter) -> None:
    """Export and measure what the step has left; keep variant and checkpoint.

    Raises:
        StepError: the artifact does not do what the network does.
    """
    artifact = _make_artifact(job, index, model, reporter)
    facts = facts_of(artifact.content)
    figures = measurements(
        quality=artifact.quality,
        parameters=int(artifact.info.measurements["params"]),
        macs=int(artifact.info.measurements["macs"]),
        facts=facts,
        fresh=artifact.fresh,
        machine=describe_machine(),
    )
    name = _variant_name(job, index)
    variant = Variant(
        run_id=job.run_id,
        name=name,
        step=index,
        step_kind=job.recipe.steps[index].kind,
        numeric_kind=artifact.info.numeric_kind.value,
        artifact=job.store.artifacts.put(artifact.content),
        measurements=figures,
    )
    # The variant first: a step counts as finished only with its checkpoint.
    job.store.save_variant(variant)
    save_checkpoint(job, index, model)
    reporter.log(
        f"{name}: accuracy {artifact.quality.accuracy:.2%}, {facts.size_bytes:,} bytes, "
        f"{artifact.info.measurements['macs']:,.0f} multiply-accumulates, "
        f"{artifact.fresh.latency.p50_ms:.3f} ms (p50, one thread)"
    )


def save_checkpoint(job: Job, index: int, model: nn.Module) -> None:
    """Keep the network as a step has left it; from then on the step counts as finished."""
    file = job.store.artifacts.put(save_state(model, job.network))
    job.store.save_checkpoint(Checkpoint(run_id=job.run_id, step=index, file=file))


def _make_artifact(job: Job, index: int, model: nn.Module, reporter: ScaledReporter) -> Artifact:
    step = job.recipe.steps[index]
    reporter.progress(0.0, "Exporting")
    side, channels = job.network.image_size, job.network.channels
    size = InputSpec(height=side, width=side, channels=channels)
    graph = export_onnx(model, size=size, mean=job.data.mean, std=job.data.std, classes=job.network.classes)
    kind = NumericKind.FLOAT32
    if isinstance(step, QuantizeStep):
        kind = NumericKind.INT8
        quantize: Callable[..., Any] = QUANTIZERS[step.method].load()
        graph = quantize(
            graph,
            job.data.train_images,
            activations=step.activations,
            samples=step.calibration_samples,
            seed=job.seed(index),
            reporter=ScaledReporter(reporter, 0.0, 0.6),
        )
    info = ArtifactInfo(
        name=f"{job.recipe.name}/{_variant_name(job, index)}",
        labels=list(job.data.labels),
        input=size,
        numeric_kind=kind,
        opset=graph.opset_import[0].version,
        recipe_hash=job.recipe.hash,
        measurements={"params": count_parameters(model), "macs": count_macs(model, job.example)},
    )
    reporter.progress(0.6, "Measuring")
    answers = logits_of(model, job.data.test_images, job.data, reporter=reporter)
    return make_artifact(graph, info, job.data, torch_logits=answers, threads=job.threads, reporter=reporter)


def _variant_name(job: Job, index: int) -> str:
    kind = job.recipe.steps[index].kind
    return f"{index}-{'int8' if kind == 'quantize' else kind}"
