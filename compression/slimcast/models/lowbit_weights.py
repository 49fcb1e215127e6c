"""Weights on a grid of a few values, and gradients that pass through the rounding.

Each class says how a layer's trained weights, kept in float32, become the ones that it computes with. What a
layer stores for that (signs, limits) are buffers, so a checkpoint keeps them. `quantized` is no `forward`:
what it returns is no feature map, and nobody who listens to modules should take it for one.

Legend: O outputs of the layer; "a channel's" means for each of them. Shapes of weights: (O, I, H, W) or (O,
    I).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CLIP = 3.0
"""In a channel's mean magnitudes: weights further out get no gradient, so they cannot run away for good."""
_LIMITS = 32  # candidates of a channel's limit
_SMALLEST = 1e-8


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The values that a weight may have: multiples `step * j + first` of a scale, j = 0 .. 2 ** bits - 1."""

    bits: int
    step: int
    first: int


@dataclass(frozen=True, kw_only=True)
class Levels:
    """A layer's weights as integers on a grid; `values` is int8 or int16 and has the shape of the weights."""

    grid: Grid
    values: Tensor


def _other_axes(weight: Tensor) -> tuple[int, ...]:
    return tuple(range(1, weight.ndim))


class _Sign(torch.autograd.Function):
    """Signs times a channel's scale; the gradient is that of the identity for weights within `bound`."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, signs: Tensor, scale: Tensor, bound: Tensor) -> Tensor:
        ctx.save_for_backward(weight.abs() <= bound)
        return signs * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None


class _Round(torch.autograd.Function):
    """Rounding with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _rounded(values: Tensor) -> Tensor:
    out: Tensor = _Round.apply(values)
    return out


class BinaryWeights(nn.Module):
    """One bit: the sign of a weight, times its channel's mean magnitude.

    Courbariaux et al. 2016 (arXiv:1602.02830) for signs and the clipped gradient; Rastegari et al. 2016
    (XNOR-Net, arXiv:1603.05279) for the scale.

    Attributes:
        threshold: in a channel's mean magnitudes. A sign changes only once its weight is that far on the
            other side of zero; 0: at once.
        signs: int8, of the weights' shape.
    """

    signs: Tensor

    def __init__(self, weight: Tensor, *, bits: int = 1, threshold: float = 0.0) -> None:
        super().__init__()
        self.grid = Grid(bits=bits, step=2, first=-1)
        self.threshold = threshold
        self.register_buffer("signs", torch.ones_like(weight, dtype=torch.int8))

    def start(self, weight: Tensor) -> None:
        """Take the signs of trained weights, whatever they were before."""
        self.signs.copy_(_signs(weight.detach()))

    def quantized(self, weight: Tensor) -> Tensor:
        """Return the weights to compute with; in training mode signs follow the weights first."""
        scale = weight.detach().abs().mean(_other_axes(weight), keepdim=True)
        if self.training:
            self._follow(weight.detach(), scale)
        out: Tensor = _Sign.apply(weight, self.signs, scale, CLIP * scale)
        return out

    def levels(self, weight: Tensor) -> Levels:
        """Return the weights as integers."""
        return Levels(grid=self.grid, values=self.signs.clone())

    def _follow(self, weight: Tensor, scale: Tensor) -> None:
        if not self.threshold:
            self.signs.copy_(_signs(weight))
            return
        crossed = weight * self.signs < -self.threshold * scale
        self.signs.copy_(torch.where(crossed, -self.signs, self.signs))


def _signs(values: Tensor) -> Tensor:
    return torch.where(values >= 0, 1, -1).to(torch.int8)


class DorefaWeights(nn.Module):
    """k bits without zero: tanh of the weights, rounded to 2 ** k values from its largest to its smallest.

    Zhou et al. 2016 (DoReFa-Net, arXiv:1606.06160), equation 9, times the largest magnitude, so that a
    network without batch norm keeps its scale. PACT (arXiv:1805.06085) quantizes its weights so, too.
    """

    def __init__(self, weight: Tensor, *, bits: int) -> None:
        super().__init__()
        self._count = 2**bits - 1
        self.grid = Grid(bits=bits, step=2, first=-self._count)

    def start(self, weight: Tensor) -> None:
        """Nothing is kept: the grid follows the weights."""

    def quantized(self, weight: Tensor) -> Tensor:
        """Return the weights to compute with; their gradient is that of tanh."""
        curved, limit = self._curved(weight)
        unit = curved / (2 * limit) + 0.5  # 0 .. 1
        return limit * (2 * _rounded(unit * self._count) / self._count - 1)

    def levels(self, weight: Tensor) -> Levels:
        """Return the weights as integers."""
        curved, limit = self._curved(weight.detach())
        steps = ((curved / (2 * limit) + 0.5) * self._count).round()
        return Levels(grid=self.grid, values=(2 * steps - self._count).to(torch.int16))

    @staticmethod
    def _curved(weight: Tensor) -> tuple[Tensor, Tensor]:
        curved = weight.tanh()
        return curved, curved.detach().abs().max().clamp_min(_SMALLEST)


class WrpnWeights(nn.Module):
    """k bits with zero: weights clipped to a limit, rounded to 2 ** (k - 1) - 1 steps on either side.

    Mishra et al. 2017 (WRPN, arXiv:1709.01134), section 3, whose limit is 1. Here each channel has its own,
    with which the trained weights lose least: a trained network's weights are far below 1.

    Attributes:
        limit: (O, 1, ..), fixed by `start`.
    """

    limit: Tensor

    def __init__(self, weight: Tensor, *, bits: int) -> None:
        super().__init__()
        self._count = 2 ** (bits - 1) - 1
        self.grid = Grid(bits=bits, step=1, first=-self._count)
        self.register_buffer("limit", torch.ones(len(weight), *[1] * (weight.ndim - 1)))

    def start(self, weight: Tensor) -> None:
        """Choose the limits."""
        largest = weight.detach().abs().amax(_other_axes(weight), keepdim=True).clamp_min(_SMALLEST)
        best = torch.full_like(largest, torch.inf)
        for part in torch.linspace(1 / _LIMITS, 1, _LIMITS):
            limit = largest * part
            rounded = self._steps(weight.detach(), limit).round() * limit / self._count
            error = (rounded - weight.detach()).square().sum(_other_axes(weight), keepdim=True)
            self.limit.copy_(torch.where(error < best, limit, self.limit))
            best = torch.minimum(best, error)

    def quantized(self, weight: Tensor) -> Tensor:
        """Return the weights to compute with; beyond the limit they get no gradient."""
        return _rounded(self._steps(weight, self.limit)) * (self.limit / self._count)

    def levels(self, weight: Tensor) -> Levels:
        """Return the weights as integers."""
        return Levels(grid=self.grid, values=self._steps(weight.detach(), self.limit).round().to(torch.int16))

    def _steps(self, weight: Tensor, limit: Tensor) -> Tensor:
        return (weight / limit).clamp(-1, 1) * self._count


class Int8Weights(WrpnWeights):
    """Eight bits, the limit of a channel being its largest weight: for layers that suffer from fewer."""

    def quantized(self, weight: Tensor) -> Tensor:
        """Return the weights to compute with."""
        self.start(weight)
        return super().quantized(weight)

    def start(self, weight: Tensor) -> None:
        """Take the largest magnitudes as limits."""
        with torch.no_grad():
            self.limit.copy_(weight.abs().amax(_other_axes(weight), keepdim=True).clamp_min(_SMALLEST))


WeightGrid = BinaryWeights | DorefaWeights | WrpnWeights
