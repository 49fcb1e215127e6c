"""Run the steps of a recipe that are not finished yet."""

from dataclasses import replace

import numpy as np
from torch import nn

from slimcast.data.images import describe
from slimcast.measure.clock import Clocks
from slimcast.pipeline.artifacts import save, save_checkpoint
from slimcast.pipeline.drafts import BASELINE_STEP, Draft, float_draft
from slimcast.pipeline.job import Job, RunStore, initial, prepare, restore
from slimcast.pipeline.steps import RUNNERS
from slimcast.pipeline.teachers import check_teachers
from slimcast.recipe import Recipe
from slimcast.records import Variant
from slimcast.reporting import Reporter, ScaledReporter
from slimcast.settings import Settings
from slimcast.timing import BATCHES, EXPORT, part_time, running_stopwatch

_LOADING_SHARE = 0.02
_BASELINE_SHARE = (0.01, 0.02)  # of the progress bar
_STEP_OVERHEAD = 0.5  # of an epoch: export and measurements after each step
_WORK_SHARE = 0.85  # of a step; the rest is its artifact


def run_recipe(
    recipe: Recipe,
    *,
    run_id: str,
    store: RunStore,
    settings: Settings,
    reporter: Reporter,
    clocks: Clocks | None = None,
) -> list[Variant]:
    """Run the steps that have no checkpoint yet, and return all variants of the run, by step.

    Args:
        recipe: what to do. run_id, store: where its results belong. settings: where things are.
        reporter: is told how it goes, and says whether to stop.
        clocks: finds devices that measure for recipes which name one.

    Raises:
        SlimcastError: a step failed; what is finished stays.
        Cancelled: somebody cancelled the run.
    """
    with running_stopwatch() as watch:
        reporter.progress(0.0, f"Loading {recipe.data.name}")
        loading = ScaledReporter(reporter, 0.0, _LOADING_SHARE)
        job = replace(prepare(recipe, run_id, store, settings, reporter=loading), clocks=clocks)
        variants = _run_steps(job, reporter)
    reporter.table("time", ("part", "time_s", "share"), watch.rows())
    reporter.log(f"Training and evaluation batches took {watch.share(BATCHES):.1%} of {watch.total_s:.1f} s")
    return variants


def _run_steps(job: Job, reporter: Reporter) -> list[Variant]:
    recipe = job.recipe
    reporter.log(describe(job.data))
    for note in job.data.notes:
        reporter.log(note, "warning")
    check_teachers(job)
    reporter.check_cancelled()
    done = _finished_steps(job)
    model = initial(job, reporter) if done == 0 else restore(job, done - 1)
    if done == 0 and _has_baseline(job):
        with part_time(EXPORT):
            save(job, BASELINE_STEP, float_draft(job, model), ScaledReporter(reporter, *_BASELINE_SHARE))
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
    return job.store.variants(job.run_id)


def _has_baseline(job: Job) -> bool:
    """Return whether the run begins with a trained network, which nobody has measured yet."""
    given = job.recipe.model.weights != "none" and job.recipe.steps[0].kind != "train"
    return given and all(item.step != BASELINE_STEP for item in job.store.checkpoints(job.run_id))


def _finished_steps(job: Job) -> int:
    """Return how many steps, from the first, have their checkpoint, and their variant if they leave one."""
    steps = job.recipe.steps
    saved = {item.step for item in job.store.checkpoints(job.run_id)}
    variants = {item.step for item in job.store.variants(job.run_id)}
    saved &= variants | {i for i, step in enumerate(steps) if not RUNNERS[step.kind].leaves_variant}
    return next(index for index in range(len(steps) + 1) if index not in saved)


def _progress_bounds(recipe: Recipe) -> list[float]:
    """Return where each step starts and ends on the run's progress bar, by the epochs that it trains."""
    weights = [RUNNERS[step.kind].epochs(step) + _STEP_OVERHEAD for step in recipe.steps]
    ends = np.cumsum([0.0, *weights]) / sum(weights)
    return [_LOADING_SHARE + (1 - _LOADING_SHARE) * float(end) for end in ends]


def _run_step(job: Job, index: int, model: nn.Module, reporter: ScaledReporter) -> nn.Module:
    step = job.recipe.steps[index]
    runner = RUNNERS[step.kind]
    work_share = _WORK_SHARE if runner.leaves_variant else 1.0
    left = runner.run(job, index, step, model, ScaledReporter(reporter, 0.0, work_share))
    if not runner.leaves_variant:
        assert isinstance(left, nn.Module)
        save_checkpoint(job, index, left)
        return left
    with part_time(EXPORT):
        draft = left if isinstance(left, Draft) else float_draft(job, left)
        save(job, index, draft, ScaledReporter(reporter, work_share, 1.0))
    return draft.model
