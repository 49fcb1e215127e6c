"""What a layer with few bits reads: its input on a grid of 2 ** k values that has a place for zero."""

from typing import Any

import torch
from torch import Tensor, nn

_SMALLEST = 1e-6
_PARTS = 40  # candidates of a range


class _OnGrid(torch.autograd.Function):
    """Clip and round; the gradient passes within the range, and those above it are the gradient of `high`.

    Equation 3 of Choi et al. 2018 (PACT, arXiv:1805.06085): the upper end is learnt from what is cut off.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, high: Tensor, grid: tuple[float, int, int]) -> Tensor:
        scale, zero, most = grid
        steps = values.mul(1 / scale).add_(zero)
        above = steps >= most
        if ctx.needs_input_grad[1]:
            ctx.save_for_backward((steps >= 0) & ~above, above)
        else:
            ctx.save_for_backward((steps >= 0) & (steps <= most))
        return steps.round_().clamp_(0, most).sub_(zero).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        gradient = gradients[0]
        inside, *above = ctx.saved_tensors
        learnt = (gradient * above[0]).sum().float() if above else None
        return gradient * inside, learnt, None


class InputGrid(nn.Module):
    """Rounds a layer's input, (N, ..), to 2 ** bits values from `low` to `high`.

    Until a range is set it returns its input untouched.

    Attributes:
        low, high: ends of the range, scalars; `low` is at most 0. `high` is a parameter while it is learnt.
        ready: a range is set.
    """

    low: Tensor
    high: Tensor

    def __init__(self, bits: int, *, ready: bool = False) -> None:
        super().__init__()
        self.bits, self.ready = bits, ready
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the rounded values."""
        if not self.ready:
            return x
        out: Tensor = _OnGrid.apply(x, self.high, (*self.grid(), self.most))
        return out

    @property
    def most(self) -> int:
        """The largest integer of the grid; the smallest is 0."""
        return int(2**self.bits - 1)

    def grid(self) -> tuple[float, int]:
        """Return the scale, and the integer that stands for 0: a value is (integer - zero) * scale."""
        low, high = min(float(self.low), 0.0), max(float(self.high.detach()), _SMALLEST)
        scale = (high - low) / self.most
        return scale, min(self.most, round(-low / scale))

    def fit(self, seen: Tensor) -> None:
        """Set the range in which values like those seen lose least: with few bits, far within their extremes.

        With eight bits the extremes themselves: they are hardly dearer, and safe.
        """
        low, high = min(float(seen.min()), 0.0), max(float(seen.max()), _SMALLEST)
        parts = [1.0] if self.bits >= 8 else [part / _PARTS for part in range(1, _PARTS + 1)]
        errors = []
        self.ready = True
        for part in parts:
            self._set(low * part, high * part)
            errors.append(float((self(seen) - seen).square().mean()))
        best = parts[min(range(len(parts)), key=errors.__getitem__)]
        self._set(low * best, high * best)

    @torch.no_grad()
    def _set(self, low: float, high: float) -> None:
        self.low.fill_(low)
        self.high.fill_(high)

    def learn(self) -> None:
        """Make the upper end a parameter."""
        high = self.high.detach().clone()
        del self._buffers["high"]
        self.high = nn.Parameter(high)

    def settle(self) -> None:
        """Make the upper end a plain number again: it does not count among the network's parameters."""
        if "high" in self._parameters:
            high = self.high.detach().clone()
            del self._parameters["high"]
            self.register_buffer("high", high)
