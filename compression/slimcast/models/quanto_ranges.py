"""Which range of values few bits should span: quanto's optimizers for scales and shifts, with two of our own.

quanto takes the largest and the smallest weight of a group. With 16 levels that is nearly the best, with
four it is not: most weights are small, and the two outer levels serve a few large ones. So some narrower
ranges are tried, and each group keeps the one with the least squared error.
"""

from typing import Any

import torch
from torch import Tensor

from slimcast.models.quanto_library import AbsmaxOptimizer, Optimizer

_SHARES = {4: (1.0, 0.95, 0.9, 0.875, 0.8, 0.7), 2: (1.0, 0.85, 0.7, 0.6, 0.5, 0.4)}
"""Of the group's range, by bits. With the whole (7/8 of it where -8 of -8 to 7 is in use), weights that are
on a grid already stay there."""


class WholeRange(AbsmaxOptimizer):
    """Symmetric, for 8 bits: the largest value of each output channel. A channel of zeros stays zero."""

    @torch.no_grad()
    def optimize(self, base: Tensor, qtype: Any, axis: int | None = None) -> Tensor:
        """Return the scales; 1 for a channel of zeros, which has no range."""
        scale = super().optimize(base, qtype, axis)
        return torch.where(scale == 0, torch.ones_like(scale), scale)


class FittedRange(Optimizer):
    """Least squares over a few shrunken ranges of each group.

    Args:
        zero: how zero is met. ``free``: levels stand where they fit best, and quanto's shift is a float.
            ``exact``: zero is a level of its own, and the shift is that level's number. ``middle``: exact,
            and the same level everywhere, as integer kernels want it.
    """

    def __init__(self, zero: str) -> None:
        self.zero = zero

    @torch.no_grad()
    def __call__(
        self, base: Tensor, qtype: Any, axis: int, group_size: int | None = None, zeropoint: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return scale and shift of each output channel, or of each group of it: (rows, 1, ...)."""
        rows = base.reshape(-1, group_size) if group_size else base.flatten(1)
        low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
        if self.zero == "middle":
            high = torch.maximum(-low, high)
        elif self.zero == "exact":
            low, high = low.clamp(max=0), high.clamp(min=0)
        best: tuple[Tensor, Tensor, Tensor] | None = None
        for share in _SHARES[qtype.bits]:
            scale, shift = self._grid(low * share, high * share, qtype.bits)
            error = (_rounded(rows, scale, shift, qtype.bits) - rows).square().sum(1, keepdim=True)
            if best is None:
                best = error, scale, shift
            else:
                better = error < best[0]
                found = zip((error, scale, shift), best, strict=True)
                best = tuple(torch.where(better, new, old) for new, old in found)  # type: ignore[assignment]
        assert best is not None
        shape = (len(rows),) + (1,) * (1 if group_size else base.ndim - 1)
        return best[1].reshape(shape), best[2].reshape(shape)

    def _grid(self, low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
        middle = 2 ** (bits - 1)
        span = high / (middle - 1) if self.zero == "middle" else (high - low) / (2**bits - 1)
        scale = torch.where(span == 0, torch.ones_like(span), span)
        if self.zero == "free":
            return scale, -low
        if self.zero == "middle":
            return scale, torch.full_like(scale, middle).to(torch.uint8)
        return scale, (-low / scale).round().clamp(0, 2**bits - 1).to(torch.uint8)


def _rounded(rows: Tensor, scale: Tensor, shift: Tensor, bits: int) -> Tensor:
    """Return what remains of the values, in quanto's two forms of a shift."""
    if shift.is_floating_point():
        return ((rows + shift) / scale).round().clamp(0, 2**bits - 1) * scale - shift
    zero = shift.float()
    return ((rows / scale).round().add(zero).clamp(0, 2**bits - 1) - zero) * scale
