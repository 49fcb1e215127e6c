"""CP of a convolution's kernel (Lebedev et al. 2015, arXiv:1412.6553): 1x1, k x k for each channel, 1x1.

The two sides of the window are taken as one mode: kernels are small, so three layers compute as much as the
paper's four would, keep more of the kernel at the same rank, and start fewer operators.
"""

import math

import torch
from torch import Tensor, nn

from slimcast.models.factors import Factors
from slimcast.prune.low_rank_svd import Factorization, Place, RankRule, pointwise, window

_SWEEPS = 40
_CHANGE = 1e-5  # of the fit from one sweep to the next
_RIDGE = 1e-7  # against components that grow without bound and cancel each other
_SEED = 5


def cp(conv: nn.Conv2d, rule: RankRule, place: Place) -> Factorization | None:
    """Split a convolution without groups in three; None where that would save nothing, or keep too little."""
    kernel = conv.weight.detach().double().flatten(2)  # (O, I, K)
    outputs, inputs, size = kernel.shape
    most = _most(kernel, place)
    if most < 1:
        return None
    if rule.energy is None:
        full = kernel.numel() // max(kernel.shape)  # no tensor of this shape has a higher rank
        rank = min(rule.rounded(rule.exact(torch.ones(full)), full), full)
        found = decompose(kernel, rank) if rank <= most else None
    else:
        found = _smallest(kernel, rule.energy, most, rule.round_to)
    if found is None:
        return None
    factors, fit = found
    rank = factors[0].shape[1]
    return Factorization(
        factors=_three(conv, factors),
        ranks=(rank,),
        energy=fit,
        macs_before=kernel.numel() * place.positions_out,
        macs=rank * (inputs * place.positions_in + (size + outputs) * place.positions_out),
    )


def decompose(kernel: Tensor, rank: int) -> tuple[list[Tensor], float]:
    """Fit a sum of `rank` outer products to a tensor by alternating least squares.

    Returns:
        Factors (O, R), (I, R), (K, R), whose columns share their norms, and the share of energy they keep.
    """
    factors = _start(kernel, rank)
    total, fit = float((kernel**2).sum()), -1.0
    if total == 0:
        return [torch.zeros_like(factor) for factor in factors], 1.0
    for _ in range(_SWEEPS):
        for mode in range(3):
            products, gram = _normal_equations(kernel, factors, mode)
            ridge = _RIDGE * gram.diagonal().mean() * torch.eye(rank, dtype=kernel.dtype)
            factors[mode] = torch.linalg.solve(gram + ridge, products.T).T
        products, gram = _normal_equations(kernel, factors, 2)
        inner, square = (products * factors[2]).sum(), (gram * (factors[2].T @ factors[2])).sum()
        factors = _balanced(factors)
        last, fit = fit, float((2 * inner - square) / total)
        if fit - last < _CHANGE:
            break
    return factors, fit


def _most(kernel: Tensor, place: Place) -> int:
    """Return the largest rank that saves both weights and multiply-accumulates."""
    outputs, inputs, size = kernel.shape
    by_weights = (kernel.numel() - 1) // (inputs + size + outputs)
    macs = inputs * place.positions_in + (size + outputs) * place.positions_out
    return min(by_weights, (kernel.numel() * place.positions_out - 1) // macs)


def _smallest(kernel: Tensor, energy: float, most: int, round_to: int) -> tuple[list[Tensor], float] | None:
    """Look for the smallest rank, a multiple of `round_to` where there is room, that keeps the energy."""
    step = round_to if most >= round_to else 1
    rule = RankRule(energy=energy, share=None, round_to=1)
    # No sum of fewer products can keep as much: an unfolding of it would have too low a rank.
    least = max(
        rule.exact(torch.linalg.svdvals(kernel.movedim(mode, 0).flatten(1)) ** 2) for mode in range(3)
    )
    low, high = math.ceil(least / step), most // step
    best = None
    while low <= high:
        middle = (low + high) // 2
        found = decompose(kernel, middle * step)
        if found[1] >= energy:
            best, high = found, middle - 1
        else:
            low = middle + 1
    return best


def _start(kernel: Tensor, rank: int) -> list[Tensor]:
    """Begin with the leading singular vectors of each unfolding, and with random ones beyond them."""
    generator = torch.Generator().manual_seed(_SEED)
    factors = []
    for mode in range(3):
        vectors = torch.linalg.svd(kernel.movedim(mode, 0).flatten(1), full_matrices=False)[0][:, :rank]
        missing = rank - vectors.shape[1]
        rest = torch.randn(vectors.shape[0], missing, generator=generator, dtype=kernel.dtype)
        factors.append(torch.cat([vectors, rest / math.sqrt(vectors.shape[0])], dim=1))
    return factors


def _normal_equations(kernel: Tensor, factors: list[Tensor], mode: int) -> tuple[Tensor, Tensor]:
    """Return right side (n, R) and matrix (R, R) of the least squares for one mode."""
    large, small = sorted((m for m in range(3) if m != mode), key=lambda m: -kernel.shape[m])
    # The larger one first: what lies between is then no larger than the kernel.
    part = kernel.permute(mode, small, large) @ factors[large]  # (n, small, R)
    products = (part * factors[small]).sum(1)
    grams = [factors[m].T @ factors[m] for m in (large, small)]
    return products, grams[0] * grams[1]


def _balanced(factors: list[Tensor]) -> list[Tensor]:
    norms = [factor.norm(dim=0).clamp(min=1e-30) for factor in factors]
    shared = (norms[0] * norms[1] * norms[2]) ** (1 / 3)
    return [factor / norm * shared for factor, norm in zip(factors, norms, strict=True)]


def _three(conv: nn.Conv2d, factors: list[Tensor]) -> Factors:
    outputs, inputs, kernels = factors
    rank = kernels.shape[1]
    middle = window(conv, kernels.T.reshape(rank, 1, *conv.kernel_size), groups=rank)
    bias = None if conv.bias is None else conv.bias.detach()
    return Factors(pointwise(inputs.T), middle, pointwise(outputs, bias))
