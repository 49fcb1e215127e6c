"""How the steps after `sparsify` keep its zeros."""

from collections.abc import Callable

from torch import nn

from slimcast.pipeline.job import Job
from slimcast.prune.unstructured import zeros_held


def zeros_to_hold(job: Job, index: int, model: nn.Module) -> Callable[[nn.Module], None] | None:
    """Return what keeps a network's zeros while it is trained; None where no step has sparsified it."""
    sparsified = any(step.kind == "sparsify" for step in job.recipe.steps[:index])
    return zeros_held(model) if sparsified else None
