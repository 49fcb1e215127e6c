"""How each step of a recipe is run. A new step is a function in a file of its own and an entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from slimcast.pipeline import factorizing, netadapt, pruning, quantizing, sensitivity, sparsifying, training
from slimcast.pipeline.drafts import Draft
from slimcast.pipeline.job import Job
from slimcast.reporting import ScaledReporter


@dataclass(frozen=True, kw_only=True)
class StepRunner:
    """One kind of step.

    Attributes:
        epochs: how long a step takes, in the time of a training epoch, for the progress bar.
        run: (job, index, step, model, reporter) -> model, or the draft of its artifact where that is not just
            the model in float32; it may work in place.
        leaves_variant: False where the network stays as it was: then there is nothing to export and measure.
    """

    epochs: Callable[[Any], float]
    run: Callable[[Job, int, Any, nn.Module, ScaledReporter], nn.Module | Draft]
    leaves_variant: bool = True


RUNNERS: dict[str, StepRunner] = {
    "train": StepRunner(epochs=training.epochs_of, run=training.run_training),
    "prune": StepRunner(epochs=pruning.epochs_of, run=pruning.run_pruning),
    "netadapt": StepRunner(epochs=netadapt.epochs_of, run=netadapt.run_netadapt),
    "sparsify": StepRunner(epochs=sparsifying.epochs_of, run=sparsifying.run_sparsifying),
    "factorize": StepRunner(epochs=factorizing.epochs_of, run=factorizing.run_factorizing),
    "sensitivity": StepRunner(
        epochs=sensitivity.epochs_of, run=sensitivity.run_sensitivity, leaves_variant=False
    ),
    "finetune": StepRunner(epochs=training.epochs_of, run=training.run_training),
    "quantize": StepRunner(epochs=quantizing.epochs_of, run=quantizing.run_quantizing),
}
"""By the step's kind."""
