"""The optimizers of torch, with the groups and defaults that training wants."""

import torch
from torch import nn

from slimcast.errors import StepError
from slimcast.train.plan import TrainingPlan

_MOMENTUM = 0.9
_DECAY = {"adamw": 0.01, "sgd": 5e-4}
SGD_RATE_FACTOR = 25
"""By which the default rate, given for AdamW, is larger for SGD with momentum."""


def make_optimizer(model: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters that are to be trained: AdamW, or SGD with Nesterov's momentum.

    Biases and norm layers are not decayed: that would only pull scales down.

    Raises:
        StepError: all of them are frozen.
    """
    decay = _DECAY[plan.optimizer] if plan.weight_decay is None else plan.weight_decay
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise StepError("Every weight of this network is frozen: there is nothing to train.")
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=plan.learning_rate, momentum=_MOMENTUM, nesterov=True, foreach=True)
    return torch.optim.AdamW(groups, lr=plan.learning_rate, foreach=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next steps use that learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
