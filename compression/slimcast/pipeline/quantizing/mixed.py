"""Each layer the fewest bits that it bears, within a budget of bytes or of accuracy."""

import numpy as np
from torch import nn

from slimcast.data.choice import some_for_choice
from slimcast.errors import StepError
from slimcast.pipeline.drafts import Draft
from slimcast.pipeline.job import Job
from slimcast.pipeline.quantizing.mixture import Chooser, Mixer
from slimcast.pipeline.quantizing.quanto import note_rounding, train_rounded
from slimcast.quantize.allocation import Allocation, Choice
from slimcast.quantize.widths import FLOAT, WidthError, width_errors
from slimcast.recipe import MixedQuantize
from slimcast.records import Table
from slimcast.reporting import QuietReporter, ScaledReporter
from slimcast.train.evaluate import logits_of

_CHOOSING_SHARE = 0.3  # of the progress bar where training comes then
_COLUMNS = ("layer", "width", "bytes", "error", "same_answers", "chosen")


def epochs_of(step: MixedQuantize) -> float:
    """Return how long the step takes, in epochs of training."""
    return step.epochs + 1.0


def run_mixed(job: Job, index: int, step: MixedQuantize, model: nn.Module, reporter: ScaledReporter) -> Draft:
    """Try each layer at each width, choose, train where the step says so, and round.

    Raises:
        StepError: a weight is no number, nothing can be rounded, or no mixture is as small as asked for.
        Cancelled: somebody cancelled the run.
    """
    share = _CHOOSING_SHARE if step.epochs else 1.0
    choosing = ScaledReporter(reporter, 0.0, share)
    mixer = Mixer(job=job, index=index, step=step, model=model)
    errors = _errors(mixer, choosing)
    choices = [
        Choice(layer=one.layer, width=one.width, size_bytes=one.size_bytes, cost=one.error**2)
        for one in errors
    ]
    chosen = Chooser(mixer, choices, choosing).choose()
    _note(mixer, errors, chosen, reporter)
    if all(choice.width == FLOAT for choice in chosen.values()):
        raise StepError(
            "Quantization had no effect: no layer can be rounded within target.max_loss. Allow more, or "
            "train with one width (method weight_only or quanto, with epochs)."
        )
    rounded = mixer.rounded(chosen)
    train_rounded(job, index, step, rounded, ScaledReporter(reporter, share, 1.0))
    note_rounding(job, index, rounded, reporter)
    return mixer.finished(rounded, reporter)


def _errors(mixer: Mixer, reporter: ScaledReporter) -> list[WidthError]:
    job, step = mixer.job, mixer.step
    images, _ = some_for_choice(job.data, step.images, seed=job.recipe.seed)
    quiet = QuietReporter(reporter, 0.0, 0.5, "Trying each layer at each width")

    def answers(network: nn.Module) -> np.ndarray:
        return logits_of(network, images, job.data, reporter=quiet)

    return width_errors(
        mixer.model,
        step.widths,
        keep=step.keep,
        activations=mixer.activations,
        answers=answers,
        reporter=ScaledReporter(reporter, 0.0, 0.5),
    )


def _note(mixer: Mixer, errors: list[WidthError], chosen: Allocation, reporter: ScaledReporter) -> None:
    """Keep as a table what each layer loses at each width, and which it got."""
    rows = tuple(
        (one.layer, one.width, one.size_bytes, one.error, one.same, int(chosen[one.layer].width == one.width))
        for one in errors
    )
    job = mixer.job
    job.store.save_table(job.run_id, Table(name=f"{mixer.index}-widths", columns=_COLUMNS, rows=rows))
    widths = [choice.width for choice in chosen.values()]
    counts = ", ".join(f"{widths.count(width)} in {width}" for width in mixer.step.widths if width in widths)
    reporter.log(f"Widths of {len(widths)} layers: {counts}")
