"""Optimizers over all weights at once.

Written out here, since the first `torch.optim.Optimizer` of a process imports torch's compiler: two seconds
of processor time in each job, for nothing. The tests hold them against torch's own, step by step.
"""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.train.plan import TrainingPlan

_MOMENTUM = 0.9
_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_DECAY = {"adamw": 0.01, "sgd": 5e-4}
SGD_RATE_FACTOR = 25
"""By which the default rate, given for AdamW, is larger for SGD with momentum."""


class Optimizer(Protocol):
    """Changes weights by their gradients."""

    def step(self, rate: float) -> None:
        """Make one step with that learning rate."""

    def zero_grad(self) -> None:
        """Forget the gradients."""


def make_optimizer(model: nn.Module, plan: TrainingPlan) -> Optimizer:
    """Return the optimizer of all parameters that are to be trained.

    Raises:
        StepError: all of them are frozen.
    """
    decay = _DECAY[plan.optimizer] if plan.weight_decay is None else plan.weight_decay
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise StepError("Every weight of this network is frozen: there is nothing to train.")
    return Sgd(trained, decay) if plan.optimizer == "sgd" else AdamW(trained, decay)


class _Groups:
    """Parameters in two groups. Biases and norm layers are not decayed: that would only pull scales down."""

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        every = list(parameters)
        self._groups = [
            ([p for p in every if p.ndim > 1], weight_decay),
            ([p for p in every if p.ndim <= 1], 0.0),
        ]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameters, _ in self._groups:
            for parameter in parameters:
                parameter.grad = None

    def present(self) -> list[tuple[list[Tensor], list[Tensor], float]]:
        """Return the parameters that have a gradient, these gradients, and the weight decay, by group."""
        found: list[tuple[list[Tensor], list[Tensor], float]] = []
        for parameters, decay in self._groups:
            used = [(p, p.grad) for p in parameters if p.grad is not None]
            if used:
                found.append(([p for p, _ in used], [g for _, g in used], decay))
        return found


class Sgd:
    """Stochastic gradient descent with Nesterov's momentum (Sutskever et al., ICML 2013) and weight decay."""

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        self._groups = _Groups(parameters, weight_decay)
        self._momentum: dict[Tensor, Tensor] = {}
        self.zero_grad = self._groups.zero_grad

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Make one step with that learning rate; changes the gradients, too."""
        for parameters, gradients, decay in self._groups.present():
            if decay:
                torch._foreach_add_(gradients, parameters, alpha=decay)
            for parameter in parameters:
                if parameter not in self._momentum:
                    self._momentum[parameter] = torch.zeros_like(parameter)
            momentum = [self._momentum[p] for p in parameters]
            torch._foreach_mul_(momentum, _MOMENTUM)
            torch._foreach_add_(momentum, gradients)
            torch._foreach_add_(gradients, momentum, alpha=_MOMENTUM)
            torch._foreach_add_(parameters, gradients, alpha=-rate)


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017, arXiv:1711.05101)."""

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        self._groups = _Groups(parameters, weight_decay)
        self._moments: dict[Tensor, tuple[Tensor, Tensor]] = {}
        self._steps = 0
        self.zero_grad = self._groups.zero_grad

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Make one step with that learning rate."""
        self._steps += 1
        first_bias, second_bias = (1 - beta**self._steps for beta in _BETAS)
        for parameters, gradients, decay in self._groups.present():
            for parameter in parameters:
                if parameter not in self._moments:
                    self._moments[parameter] = (torch.zeros_like(parameter), torch.zeros_like(parameter))
            first = [self._moments[p][0] for p in parameters]
            second = [self._moments[p][1] for p in parameters]
            if decay:
                torch._foreach_mul_(parameters, 1 - rate * decay)
            torch._foreach_lerp_(first, gradients, 1 - _BETAS[0])
            torch._foreach_mul_(second, _BETAS[1])
            torch._foreach_addcmul_(second, gradients, gradients, value=1 - _BETAS[1])
            scale = torch._foreach_sqrt(second)
            torch._foreach_div_(scale, second_bias**0.5)
            torch._foreach_add_(scale, _EPSILON)
            torch._foreach_addcdiv_(parameters, first, scale, value=-rate / first_bias)
