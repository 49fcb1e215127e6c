"""Run a recipe: step by step, each one measured, saved and checked before the next begins.

A run that is started again goes on after its last finished step, with the same result: each step draws
its random
numbers from the recipe's seed and its own index, and starts from the checkpoint's exact weights.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from slimcast.catalog import MODELS, QUANTIZERS
from slimcast.data.images import ImageData
from slimcast.data.load import image_size_for, load_data
from slimcast.errors import ModelError
from slimcast.export.make import Artifact, make_artifact
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.measure.files import facts_of
from slimcast.measure.report import measurements
from slimcast.models.build import NetworkSpec, build, load_weights
from slimcast.models.state import load_state, save_state
from slimcast.prune.structured import prune
from slimcast.recipe import FinetuneStep, PruneStep, QuantizeStep, Recipe, TrainStep
from slimcast.records import Checkpoint, Variant
from slimcast.reporting import Reporter, ScaledReporter
from slimcast.settings import Settings
from slimcast.train.fit import fit, logits_of
from slimcast.train.plan import TrainingPlan
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.bench import describe_machine

_FINETUNE_RATE = 0.1  # of the network's rate for training from scratch
_RECOVERY_RATE = (
    0.5  # between pruning rounds: half of the network is new to the rest, and there is little time
)
_SMALL_PARAMETERS = 200_000
_LOADING_SHARE = 0.02
_STEP_OVERHEAD = 0.5  # of an epoch: export and measurements after each step


class RunStore(Protocol):
    """What the pipeline asks of the store."""

    artifacts: Any

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Return the run's checkpoints."""

    def variants(self, run_id: str) -> list[Variant]:
        """Return the run's variants."""

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""

    def save_variant(self, variant: Variant) -> None:
        """Keep a variant."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """All that stays the same during a run."""

    recipe: Recipe
    run_id: str
    store: RunStore
    data: ImageData
    network: NetworkSpec
    threads: int

    @property
    def example(self) -> torch.Tensor:
        side = self.network.image_size
        return torch.zeros(1, self.network.channels, side, side)

    def seed(self, step: int, part: int = 0) -> int:
        return (self.recipe.seed * 1_000_003 + step * 1_009 + part) % 2**31


def run_recipe(
    recipe: Recipe, *, run_id: str, store: RunStore, settings: Settings, reporter: Reporter
) -> list[Variant]:
    """Run the steps that have no checkpoint yet, and return all variants of the run, by step.

    Raises:
        SlimcastError: a step failed; what is finished stays.
        Cancelled: somebody cancelled the run.
    """
    reporter.progress(0.0, f"Loading {recipe.data.name}")
    job = _prepare(recipe, run_id, store, settings)
    reporter.check_cancelled()
    done = _finished_steps(job)
    model = _initial(job) if done == 0 else _restore(job, done - 1)
    bounds = _progress_bounds(recipe)
    for index, step in enumerate(recipe.steps):
        if index < done:
            reporter.step(index, step.kind, "skipped")
            continue
        reporter.step(index, step.kind, "started")
        part = ScaledReporter(reporter, bounds[index], bounds[index + 1])
        model = _run_step(job, index, model, part)
        reporter.step(index, step.kind, "finished")
    reporter.progress(1.0, "Finished")
    return store.variants(run_id)


def _threads_for(network: NetworkSpec) -> int:
    """Return how many threads to train with, and let torch use them.

    A small network spends more time on waiting for its threads than on computing, and on a busy machine
    many times
    more.
    """
    cores = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    threads = 1 if count_parameters(build(network)) < _SMALL_PARAMETERS else cores
    torch.set_num_threads(threads)
    return threads


def _prepare(recipe: Recipe, run_id: str, store: RunStore, settings: Settings) -> _Job:
    size = image_size_for(recipe.model.name, recipe.data.name, recipe.data.image_size)
    if size < MODELS[recipe.model.name].image_size:  # said here, before a large set is loaded
        build(NetworkSpec(model=recipe.model.name, classes=1, channels=1, image_size=size))
    data = load_data(
        recipe.data.name,
        root=settings.data_root,
        image_size=size,
        train_samples=recipe.data.train_samples,
        test_samples=recipe.data.test_samples,
    )
    network = NetworkSpec(
        model=recipe.model.name, classes=len(data.labels), channels=data.channels, image_size=size
    )
    return _Job(
        recipe=recipe, run_id=run_id, store=store, data=data, network=network, threads=_threads_for(network)
    )


def _initial(job: _Job) -> nn.Module:
    model = build(job.network, seed=job.recipe.seed)
    weights = job.recipe.model.weights
    if weights != "none":
        load_weights(model, Path(weights).expanduser())
    return model


def _finished_steps(job: _Job) -> int:
    """Return how many steps, from the first, have both their checkpoint and their variant."""
    saved = {item.step for item in job.store.checkpoints(job.run_id)}
    saved &= {item.step for item in job.store.variants(job.run_id)}
    return next(index for index in range(len(job.recipe.steps) + 1) if index not in saved)


def _restore(job: _Job, step: int) -> nn.Module:
    checkpoint = next(item for item in job.store.checkpoints(job.run_id) if item.step == step)
    model, network = load_state(job.store.artifacts.local_path(checkpoint.file))
    if network != job.network:
        raise ModelError(f"The checkpoint of step {step} is of {network}, the recipe asks for {job.network}.")
    return model


def _progress_bounds(recipe: Recipe) -> list[float]:
    """Return where each step starts and ends on the run's progress bar, by the epochs that it trains."""
    weights = []
    for step in recipe.steps:
        epochs = 0.5
        if isinstance(step, TrainStep | FinetuneStep):
            epochs = step.epochs
        elif isinstance(step, PruneStep):
            epochs = 0.2 * step.rounds + (step.rounds - 1) * step.finetune_epochs
        weights.append(epochs + _STEP_OVERHEAD)
    ends = np.cumsum([0.0, *weights]) / sum(weights)
    return [_LOADING_SHARE + (1 - _LOADING_SHARE) * float(end) for end in ends]


def _run_step(job: _Job, index: int, model: nn.Module, reporter: ScaledReporter) -> nn.Module:
    step = job.recipe.steps[index]
    work = ScaledReporter(reporter, 0.0, 0.85)
    if isinstance(step, TrainStep | FinetuneStep):
        _train(job, index, step, model, work)
    elif isinstance(step, PruneStep):
        model = _prune(job, index, step, model, work)
    artifact = _make_artifact(job, index, model, ScaledReporter(reporter, 0.85, 1.0))
    _save(job, index, model, artifact, reporter)
    return model


def _train(
    job: _Job, index: int, step: TrainStep | FinetuneStep, model: nn.Module, reporter: Reporter
) -> None:
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
    teacher = _baseline(job, index) if distill else None
    fit(model, job.data, plan, reporter=reporter, teacher=teacher)


def _baseline(job: _Job, index: int) -> nn.Module:
    """Return the network before anything was compressed: after the recipe's leading `train` steps."""
    trained = 0
    while trained < index and job.recipe.steps[trained].kind == "train":
        trained += 1
    return _restore(job, trained - 1) if trained else _initial(job)


def _prune(job: _Job, index: int, step: PruneStep, model: nn.Module, reporter: ScaledReporter) -> nn.Module:
    rate = MODELS[job.recipe.model.name].learning_rate * _RECOVERY_RATE

    def recover(trained: nn.Module, round_index: int) -> None:
        if not step.finetune_epochs:
            return
        plan = TrainingPlan(
            epochs=step.finetune_epochs,
            learning_rate=rate,
            seed=job.seed(index, round_index),
            step=index,
            epoch_offset=round_index * step.finetune_epochs,
        )
        part = ScaledReporter(reporter, (round_index + 0.2) / step.rounds, (round_index + 1) / step.rounds)
        fit(trained, job.data, plan, reporter=part)

    pruned, report = prune(
        model,
        job.example,
        criterion=step.criterion,
        macs=step.target.macs,
        rounds=step.rounds,
        round_to=step.round_to,
        reporter=reporter,
        after_round=recover,
    )
    reporter.log(
        f"Pruned from {report.macs_before:,} to {report.macs:,} multiply-accumulates, "
        f"from {report.parameters_before:,} to {report.parameters:,} parameters"
    )
    return pruned


def _make_artifact(job: _Job, index: int, model: nn.Module, reporter: ScaledReporter) -> Artifact:
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


def _variant_name(job: _Job, index: int) -> str:
    kind = job.recipe.steps[index].kind
    return f"{index}-{'int8' if kind == 'quantize' else kind}"


def _save(job: _Job, index: int, model: nn.Module, artifact: Artifact, reporter: Reporter) -> None:
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
    file = job.store.artifacts.put(save_state(model, job.network))
    job.store.save_checkpoint(Checkpoint(run_id=job.run_id, step=index, file=file))
    reporter.log(
        f"{name}: accuracy {artifact.quality.accuracy:.2%}, {facts.size_bytes:,} bytes, "
        f"{artifact.info.measurements['macs']:,.0f} multiply-accumulates, "
        f"{artifact.fresh.latency.p50_ms:.3f} ms (p50, one thread)"
    )
