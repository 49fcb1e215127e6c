"""Optimizers, and how the learning rate goes up and down."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from slimcast.errors import StepError
from slimcast.train.plan import TrainingPlan

_MOMENTUM = 0.9
_DECAY = {"adamw": 0.01, "sgd": 5e-4}
_MOST_WARMUP_BATCHES = 500
_FLOOR = 1e-3  # of the peak: what a schedule ends with
_ONE_CYCLE_START = 1 / 25  # of the peak, Smith and Topin 2017 (arXiv:1708.07120) as in common libraries
_ONE_CYCLE_WARMUP = 0.3
SGD_RATE_FACTOR = 25
"""By which the default rate, given for AdamW, is larger for SGD with momentum."""


def make_optimizer(model: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    """Return the optimizer of all parameters that are to be trained.

    Raises:
        StepError: all of them are frozen.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise StepError("Every weight of this network is frozen: there is nothing to train.")
    decay = _DECAY[plan.optimizer] if plan.weight_decay is None else plan.weight_decay
    # Biases and norm layers are not decayed: that would only pull the scales down.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=plan.learning_rate, momentum=_MOMENTUM, nesterov=True, foreach=True)
    return torch.optim.AdamW(groups, lr=plan.learning_rate, foreach=True)


def rate_schedule(plan: TrainingPlan, *, total: int, per_epoch: int) -> Callable[[int], float]:
    """Return the share of the peak rate as a function of the batch's index.

    Args:
        plan: names the schedule and how long the rate rises.
        total: batches of the training.
        per_epoch: batches of an epoch.
    """
    share = _ONE_CYCLE_WARMUP if plan.schedule == "one_cycle" else 0.1
    rise = max(1, min(int(total * share), total if plan.schedule == "one_cycle" else _MOST_WARMUP_BATCHES))
    if plan.warmup_epochs is not None:
        rise = min(total, round(plan.warmup_epochs * per_epoch))
    start = _ONE_CYCLE_START if plan.schedule == "one_cycle" else 0.0

    def at(index: int) -> float:
        if index < rise:
            return start + (1 - start) * (index + 1) / (rise + 1)
        if plan.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (index - rise) / max(1, total - rise))) + _FLOOR

    return at


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def train_mode(model: nn.Module) -> None:
    """Set training mode, but leave frozen batch norms as they are: they must not learn new statistics."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and _frozen(module):
            module.eval()


def _frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not any(p.requires_grad for p in parameters)
