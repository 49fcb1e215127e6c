"""The artifact of a step: packed, measured, kept."""

from torch import nn

from slimcast.export.make import Artifact, make_artifact
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.measure.files import facts_of
from slimcast.measure.kernels import integer_layers
from slimcast.measure.report import measurements
from slimcast.models.state import save_state
from slimcast.pipeline.drafts import Draft, input_of, step_kind, variant_name
from slimcast.pipeline.job import Job
from slimcast.records import Checkpoint, Variant
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import logits_of
from slimcast_edge.artifact import ArtifactInfo
from slimcast_edge.bench import describe_machine


def save(job: Job, index: int, draft: Draft, reporter: ScaledReporter) -> None:
    """Measure what the step has left; keep variant and checkpoint.

    Args:
        index: of the step; `BASELINE_STEP` for the network that the run was given.

    Raises:
        StepError: the artifact does not do what the network does.
    """
    artifact = _make_artifact(job, index, draft, reporter)
    facts = facts_of(artifact.content)
    figures = measurements(
        quality=artifact.quality,
        parameters=int(artifact.info.measurements["params"]),
        macs=int(artifact.info.measurements["macs"]),
        facts=facts,
        integer=integer_layers(artifact.content, artifact.info.numeric_kind),
        fresh=artifact.fresh,
        machine=describe_machine(),
    )
    name = variant_name(job, index)
    variant = Variant(
        run_id=job.run_id,
        name=name,
        step=index,
        step_kind=step_kind(job, index),
        numeric_kind=artifact.info.numeric_kind.value,
        artifact=job.store.artifacts.put(artifact.content),
        predictions=job.store.artifacts.put(artifact.predictions.to_bytes()),
        measurements=figures,
    )
    # The variant first: a step counts as finished only with its checkpoint.
    job.store.save_variant(variant)
    save_checkpoint(job, index, draft.model)
    reporter.log(
        f"{name}: accuracy {artifact.quality.accuracy:.2%}, {facts.size_bytes:,} bytes, "
        f"{artifact.info.measurements['macs']:,.0f} multiply-accumulates, "
        f"{artifact.fresh.latency.p50_ms:.3f} ms (p50, one thread)"
    )


def save_checkpoint(job: Job, index: int, model: nn.Module) -> None:
    """Keep the network as a step has left it; from then on the step counts as finished."""
    file = job.store.artifacts.put(save_state(model, job.network))
    job.store.save_checkpoint(Checkpoint(run_id=job.run_id, step=index, file=file))


def _make_artifact(job: Job, index: int, draft: Draft, reporter: ScaledReporter) -> Artifact:
    model, graph = draft.model, draft.graph
    info = ArtifactInfo(
        name=f"{job.recipe.name}/{variant_name(job, index)}",
        labels=list(job.data.labels),
        input=input_of(job),
        numeric_kind=draft.kind,
        opset=graph.opset_import[0].version,
        recipe_hash=job.recipe.hash,
        measurements={"params": count_parameters(model), "macs": count_macs(model, job.example)},
    )
    reporter.progress(0.0, "Measuring")
    answers = logits_of(model, job.data.test_images, job.data, reporter=reporter)
    return make_artifact(graph, info, job.data, torch_logits=answers, threads=job.threads, reporter=reporter)
