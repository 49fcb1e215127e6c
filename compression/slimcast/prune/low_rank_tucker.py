"""Tucker-2 of a convolution's kernel (Kim et al. 2016, arXiv:1511.06530): 1x1, k x k core, 1x1."""

import torch
from torch import Tensor, nn

from slimcast.models.factors import Factors
from slimcast.prune.low_rank_svd import Factorization, Place, RankRule, pointwise, window

_ITERATIONS = 5
_CHANGE = 1e-6  # of the core's energy: below it, another iteration is of no use


def tucker(conv: nn.Conv2d, rule: RankRule, place: Place) -> Factorization | None:
    """Split a convolution without groups in up to three; None where that would save nothing.

    The energy of the rule holds for each of the two sides, inputs and outputs. A side that keeps its full
    rank needs no layer of its own.
    """
    kernel = conv.weight.detach().double()  # (O, I, kh, kw)
    outputs, inputs = kernel.shape[:2]
    exact = rule.exact(_energies(kernel, 0)), rule.exact(_energies(kernel, 1))
    rounded = rule.rounded(exact[0], outputs), rule.rounded(exact[1], inputs)
    before = kernel.numel() * place.positions_out
    for out_rank, in_rank in (rounded, exact):
        weights, macs = _cost(kernel, out_rank, in_rank, place)
        if weights < kernel.numel() and macs < before:
            left, core, right = decompose(kernel, out_rank, in_rank)
            return Factorization(
                factors=_three(conv, left, core, right),
                ranks=(in_rank, out_rank),
                energy=float((core**2).sum() / (kernel**2).sum().clamp(min=1e-300)),
                macs_before=before,
                macs=macs,
            )
    return None


def decompose(kernel: Tensor, out_rank: int, in_rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return left (O, out_rank), core (out_rank, in_rank, kh, kw) and right (I, in_rank).

    The columns of left and right are orthonormal.

    The higher-order SVD to begin with, then a few rounds of higher-order orthogonal iteration
    (De Lathauwer et al. 2000).
    """
    left, right = _leading(kernel, 0, out_rank), _leading(kernel, 1, in_rank)
    energy = torch.tensor(0.0, dtype=kernel.dtype)
    for _ in range(_ITERATIONS):
        left = _leading(torch.einsum("oikl,ir->orkl", kernel, right), 0, out_rank)
        right = _leading(torch.einsum("oikl,or->rikl", kernel, left), 1, in_rank)
        core = torch.einsum("oikl,or,is->rskl", kernel, left, right)
        last, energy = energy, (core**2).sum()
        if energy - last <= _CHANGE * energy:
            break
    return left, core, right


def _gram(tensor: Tensor, mode: int) -> Tensor:
    unfolded = tensor.movedim(mode, 0).flatten(1)
    return unfolded @ unfolded.T


def _energies(tensor: Tensor, mode: int) -> Tensor:
    """Return the squared singular values of an unfolding, the largest first."""
    return torch.linalg.eigvalsh(_gram(tensor, mode)).flip(0).clamp(min=0)


def _leading(tensor: Tensor, mode: int, rank: int) -> Tensor:
    return torch.linalg.eigh(_gram(tensor, mode)).eigenvectors.flip(1)[:, :rank]


def _cost(kernel: Tensor, out_rank: int, in_rank: int, place: Place) -> tuple[int, int]:
    """Return weights and multiply-accumulates of the factors."""
    outputs, inputs, height, width = kernel.shape
    before = 0 if in_rank == inputs else inputs * in_rank
    core = in_rank * out_rank * height * width
    after = 0 if out_rank == outputs else out_rank * outputs
    return before + core + after, before * place.positions_in + (core + after) * place.positions_out


def _three(conv: nn.Conv2d, left: Tensor, core: Tensor, right: Tensor) -> Factors:
    bias = None if conv.bias is None else conv.bias.detach()
    whole_in, whole_out = right.shape[0] == right.shape[1], left.shape[0] == left.shape[1]
    if whole_in:
        core = torch.einsum("rskl,is->rikl", core, right)
    if whole_out:
        core = torch.einsum("rskl,or->oskl", core, left)
    middle = window(conv, core, bias=bias if whole_out else None)
    before = [] if whole_in else [pointwise(right.T)]
    after = [] if whole_out else [pointwise(left, bias)]
    return Factors(*before, middle, *after)
