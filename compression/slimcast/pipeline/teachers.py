"""The models that a step can learn from."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slimcast.errors import ModelError
from slimcast.models.state import load_state
from slimcast.pipeline.job import Job, baseline
from slimcast.recipe import parse_recipe
from slimcast.records import Run, Variant


def find_teacher(job: Job, index: int, name: str) -> nn.Module:
    """Return the teacher of the step with that index, in evaluation mode.

    Args:
        job: the run that learns.
        index: of its step.
        name: ``baseline``, ``run:ID`` or ``run:ID/VARIANT``; a run's id may be shortened.

    Raises:
        ModelError: that run has no such model, or the model is for other images or classes.
        RunNotFound: there is no such run.
    """
    if name == "baseline":
        return baseline(job, index)
    found = _find(job, name)
    if found.step is None:
        raise ModelError(f"The teacher {name} has no weights kept: that step has not finished.")
    checkpoints = {item.step: item.file for item in job.store.checkpoints(found.run.id)}
    teacher, network = load_state(job.store.artifacts.local_path(checkpoints[found.step]), in_float=True)
    own = job.network
    if (network.classes, network.channels, network.image_size) != (
        own.classes,
        own.channels,
        own.image_size,
    ):
        raise ModelError(
            f"The teacher {name} tells {network.classes} classes apart on {network.image_size} pixels with "
            f"{network.channels} channels; this run has {own.classes} classes, {own.image_size} pixels and "
            f"{own.channels} channels. A teacher must see the same images and know the same classes."
        )
    return _as_normalised_there(job, found.run, teacher)


def check_teachers(job: Job) -> None:
    """Look for the teachers from other runs before any work is done.

    Raises:
        ModelError: a run has no such model, or it was made for other data.
        RunNotFound: there is no such run.
    """
    for step in job.recipe.steps:
        distill = getattr(step, "distill", None)
        if distill is not None and distill.teacher != "baseline":
            _find(job, distill.teacher)


@dataclass(frozen=True)
class _Found:
    run: Run
    step: int | None


def _find(job: Job, name: str) -> _Found:
    run_id, _, variant_name = name.removeprefix("run:").partition("/")
    run = job.store.run(run_id)
    variants = job.store.variants(run.id)
    saved = {item.step for item in job.store.checkpoints(run.id)}
    kept = [variant for variant in variants if variant.step in saved]
    if variant_name:
        kept = [variant for variant in kept if variant.name == variant_name]
    if not kept:
        raise ModelError(_missing(name, run, variants))
    data = parse_recipe(run.recipe_yaml).data
    if data.name != job.recipe.data.name:
        raise ModelError(
            f"The teacher {name} has learnt {data.name}, this run learns {job.recipe.data.name}. "
            "A teacher must see the same images and know the same classes."
        )
    return _Found(run, max(variant.step for variant in kept))


def _missing(name: str, run: Run, variants: list[Variant]) -> str:
    names = ", ".join(variant.name for variant in variants)
    return f"The teacher {name} does not exist: run {run.id} is {run.state}, its variants: {names or 'none'}."


def _as_normalised_there(job: Job, run: Run, teacher: nn.Module) -> nn.Module:
    """Return the teacher behind a change of normalisation where its recipe names another one."""
    data = parse_recipe(run.recipe_yaml).data
    mean, std = getattr(data, "mean", None) or job.data.mean, getattr(data, "std", None) or job.data.std
    if (tuple(mean), tuple(std)) == (job.data.mean, job.data.std):
        return teacher
    return _Renormalised(teacher, job, tuple(mean), tuple(std))


class _Renormalised(nn.Module):
    """A network that is given images normalised for another one."""

    scale: Tensor
    shift: Tensor

    def __init__(self, model: nn.Module, job: Job, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        own_mean, own_std = torch.tensor(job.data.mean), torch.tensor(job.data.std)
        wanted_mean, wanted_std = torch.tensor(mean), torch.tensor(std)
        self.register_buffer("scale", (own_std / wanted_std)[:, None, None])
        self.register_buffer("shift", ((own_mean - wanted_mean) / wanted_std)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K)."""
        return self.model(x * self.scale + self.shift)
