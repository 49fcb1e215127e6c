"""AdamW and SGD.

Written out, because the first use of any optimizer of `torch.optim` imports torch's whole compiler
(`torch._dynamo`):
seconds and 100 MB, for two formulas. Compared with torch's own in the tests.
"""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn


class Optimizer(Protocol):
    """Changes parameters in place by their gradients."""

    def step(self, rate: float) -> None:
        """Make one step with this learning rate."""


class AdamW:
    """Loshchilov and Hutter 2019, arXiv:1711.05101. Biases and norm layers are not decayed."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, weight_decay: float) -> None:
        self._parameters = list(parameters)
        self._decayed = [p for p in self._parameters if p.ndim > 1]
        self._weight_decay = weight_decay
        self._first = [torch.zeros_like(p) for p in self._parameters]
        self._second = [torch.zeros_like(p) for p in self._parameters]
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        """Make one step with this learning rate."""
        gradients = _gradients(self._parameters)
        self._steps += 1
        torch._foreach_mul_(self._decayed, 1 - rate * self._weight_decay)
        torch._foreach_lerp_(self._first, gradients, 1 - beta1)
        torch._foreach_mul_(self._second, beta2)
        torch._foreach_addcmul_(self._second, gradients, gradients, value=1 - beta2)
        scale = torch._foreach_sqrt(self._second)
        torch._foreach_div_(scale, (1 - beta2**self._steps) ** 0.5)
        torch._foreach_add_(scale, epsilon)
        torch._foreach_addcdiv_(self._parameters, self._first, scale, value=-rate / (1 - beta1**self._steps))


class Sgd:
    """Stochastic gradient descent with Nesterov momentum. Biases and norm layers are not decayed."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, weight_decay: float, momentum: float = 0.9
    ) -> None:
        self._parameters = list(parameters)
        self._decayed = [index for index, p in enumerate(self._parameters) if p.ndim > 1]
        self._weight_decay, self._momentum = weight_decay, momentum
        self._velocity: list[Tensor] = []

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Make one step with this learning rate."""
        gradients = _gradients(self._parameters)
        decayed = [gradients[i] for i in self._decayed]
        torch._foreach_add_(decayed, [self._parameters[i] for i in self._decayed], alpha=self._weight_decay)
        if not self._velocity:
            self._velocity = [gradient.clone() for gradient in gradients]
        else:
            torch._foreach_mul_(self._velocity, self._momentum)
            torch._foreach_add_(self._velocity, gradients)
        torch._foreach_add_(gradients, self._velocity, alpha=self._momentum)
        torch._foreach_add_(self._parameters, gradients, alpha=-rate)


def _gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], largest_norm: float) -> None:
    """Scale all gradients down so that their common L2 norm is at most `largest_norm`."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    torch._foreach_mul_(gradients, torch.clamp(largest_norm / (norm + 1e-6), max=1.0))
