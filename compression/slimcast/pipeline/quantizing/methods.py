"""How each method of `quantize` is run. A new one is a function in a file of its own and an entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from slimcast.pipeline.drafts import Draft
from slimcast.pipeline.job import Job
from slimcast.pipeline.quantizing import after_training, lowbit, mixed, qat, quanto, static
from slimcast.recipe import QuantizeStep
from slimcast.reporting import ScaledReporter

_WITHOUT_TRAINING = 0.5


@dataclass(frozen=True, kw_only=True)
class QuantizeMethod:
    """One method.

    Attributes:
        run: (job, index, step, model, reporter) -> draft; `model` is left as it is.
        epochs: how long it takes, in the time of a training epoch, for the progress bar.
    """

    run: Callable[[Job, int, Any, nn.Module, ScaledReporter], Draft]
    epochs: Callable[[Any], float] = lambda _step: _WITHOUT_TRAINING


METHODS: dict[str, QuantizeMethod] = {
    "static": QuantizeMethod(run=static.run_static),
    "qat": QuantizeMethod(run=qat.run_qat, epochs=qat.epochs_of),
    "dynamic": QuantizeMethod(run=after_training.run_dynamic),
    "float16": QuantizeMethod(run=after_training.run_float16),
    "binary": QuantizeMethod(run=lowbit.run_lowbit, epochs=lowbit.epochs_of),
    "dorefa": QuantizeMethod(run=lowbit.run_lowbit, epochs=lowbit.epochs_of),
    "pact": QuantizeMethod(run=lowbit.run_lowbit, epochs=lowbit.epochs_of),
    "wrpn": QuantizeMethod(run=lowbit.run_lowbit, epochs=lowbit.epochs_of),
    "weight_only": QuantizeMethod(run=quanto.run_weight_only, epochs=quanto.epochs_of),
    "quanto": QuantizeMethod(run=quanto.run_quanto, epochs=quanto.epochs_of),
    "mixed": QuantizeMethod(run=mixed.run_mixed, epochs=mixed.epochs_of),
}
"""By the step's method."""


def run_quantizing(
    job: Job, index: int, step: QuantizeStep, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Run the step's method.

    Raises:
        StepError: it fails, or has no effect.
        Cancelled: somebody cancelled the run.
    """
    return METHODS[step.method].run(job, index, step, model, reporter)


def epochs_of(step: QuantizeStep) -> float:
    """Return how long the step takes, in epochs of training."""
    return METHODS[step.method].epochs(step)
