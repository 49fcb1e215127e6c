"""Low rank of a matrix: the truncated singular value decomposition, and what the other methods share."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from slimcast.models.factors import Factors


@dataclass(frozen=True, kw_only=True)
class RankRule:
    """How a rank follows from singular values.

    Attributes:
        energy: the least share of the sum of their squares that stays, 0..1; or None.
        share: of the full rank, 0..1, where `energy` is None.
        round_to: ranks become multiples of this, upwards, where that still saves something.
    """

    energy: float | None
    share: float | None
    round_to: int

    def exact(self, energies: Tensor) -> int:
        """Return the rank for squared singular values, (R,), in falling order: at least 1."""
        full = len(energies)
        if self.energy is None:
            return min(full, max(1, round((self.share or 0.0) * full)))
        reached = energies.cumsum(0) >= self.energy * energies.sum() * (1 - 1e-12)
        return full - int(reached.sum()) + 1 if reached.any() else full

    def rounded(self, rank: int, full: int) -> int:
        """Return the next multiple, at most the full rank."""
        return min(full, math.ceil(rank / self.round_to) * self.round_to)


@dataclass(frozen=True, kw_only=True)
class Place:
    """How many positions a layer reads and writes for one image: H * W; 1 for a linear layer of vectors."""

    positions_in: int
    positions_out: int


@dataclass(frozen=True, kw_only=True)
class Factorization:
    """What takes a layer's place, and what it costs: `macs` of one image, before and now.

    Attributes:
        energy: share of the sum of squared weights that stays, 0..1.
    """

    factors: Factors
    ranks: tuple[int, ...]
    energy: float
    macs_before: int
    macs: int


def split(layer: nn.Conv2d | nn.Linear, rule: RankRule, place: Place) -> Factorization | None:
    """Split a linear layer, or a 1x1 convolution, in two; None where that would save nothing.

    The first has no bias; each takes its half of the singular values.
    """
    outputs, inputs = layer.weight.shape[:2]
    matrix = layer.weight.detach().double().reshape(outputs, inputs)
    left, energies, right = _decompose(matrix)
    exact = rule.exact(energies)
    for rank in (rule.rounded(exact, len(energies)), exact):
        if rank * (inputs + outputs) < inputs * outputs:
            factors = _two(layer, right[:rank], left[:, :rank])
            macs = rank * (inputs + outputs) * place.positions_out
            return Factorization(
                factors=factors,
                ranks=(rank,),
                energy=float(energies[:rank].sum() / energies.sum().clamp(min=1e-300)),
                macs_before=inputs * outputs * place.positions_out,
                macs=macs,
            )
    return None


def _decompose(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return left (O, R), squared singular values (R,), falling, and right (R, I), factors of the matrix.

    By way of the smaller Gram matrix: the classifiers of VGG16 would take minutes otherwise.
    """
    if matrix.shape[0] > matrix.shape[1]:
        left, energies, right = _decompose(matrix.T)
        return right.T, energies, left.T
    found = torch.linalg.eigh(matrix @ matrix.T)
    energies, vectors = found.eigenvalues.flip(0).clamp(min=0), found.eigenvectors.flip(1)
    root = energies.clamp(min=1e-24 * float(energies[0]) + 1e-300) ** 0.25  # each factor takes its half
    return vectors * root, energies, (vectors.T @ matrix) / root[:, None]


def pointwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """Return a 1x1 convolution with this matrix, (O, I), as float32."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    _fill(conv, weight[:, :, None, None], bias)
    return conv


def window(conv: nn.Conv2d, weight: Tensor, *, groups: int = 1, bias: Tensor | None = None) -> nn.Conv2d:
    """Return a convolution with another kernel, (O, I / groups, kh, kw), that moves as `conv` does."""
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    moves: dict[str, Any] = {name: getattr(conv, name) for name in names}
    new = nn.Conv2d(weight.shape[1] * groups, len(weight), groups=groups, bias=bias is not None, **moves)
    _fill(new, weight, bias)
    return new


def _fill(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor | None) -> None:
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None and layer.bias is not None:
            layer.bias.copy_(bias)


def _two(layer: nn.Conv2d | nn.Linear, first: Tensor, second: Tensor) -> Factors:
    bias = None if layer.bias is None else layer.bias.detach()
    if isinstance(layer, nn.Conv2d):
        # The stride is the first one's, so that both work on the smaller grid.
        return Factors(window(layer, first[:, :, None, None]), pointwise(second, bias))
    narrow = nn.Linear(layer.in_features, len(first), bias=False)
    wide = nn.Linear(len(first), layer.out_features, bias=bias is not None)
    _fill(narrow, first, None)
    _fill(wide, second, bias)
    return Factors(narrow, wide)
