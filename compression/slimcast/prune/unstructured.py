"""Unstructured pruning: the smallest weights become zero, wherever they stand; plain weights, no masks.

By magnitude, in rounds with training between them: Han et al. 2015 (arXiv:1506.02626). N:M sparsity is that
of Mishra et al. 2021 (arXiv:2104.08378): of each M consecutive weights along the input, N stay.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.models.layers import Weighted, by_pattern, check_patterns, matches, weighted_layers
from slimcast.reporting import Reporter


@dataclass(frozen=True, kw_only=True)
class SparsityPlan:
    """Which weights become zero.

    Attributes:
        ratio: share of the weights, 0..1. scope: ``global`` (of all layers together) or ``local`` (of each).
        kept_of: (N, M) of N:M sparsity, in place of `ratio` and `scope`.
        ratios: by layer name pattern, in place of `ratio`. keep: patterns of layers that stay as they are.
        rounds: zeros grow by the cubic schedule of Zhu and Gupta 2017 (arXiv:1710.01878).
    """

    ratio: float = 0.5
    scope: str = "global"
    kept_of: tuple[int, int] | None = None
    ratios: Mapping[str, float] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    rounds: int = 1


@dataclass(frozen=True, kw_only=True)
class LayerSparsity:
    """Weights of a convolution or linear layer, and how many of them are zero."""

    name: str
    weights: int
    zeros: int


def sparsify(
    model: nn.Module,
    plan: SparsityPlan,
    *,
    reporter: Reporter,
    after_round: Callable[[nn.Module, int], None] | None = None,
) -> nn.Module:
    """Return a network with the smallest weights at zero; biases, norms and what is not trained stay.

    Args:
        model: is left as it is.
        after_round: trains the network in place after each round but the last; see `zeros_held`.

    Raises:
        StepError: no layer is left to work on, or a pattern fits none.
        Cancelled: somebody cancelled the run.
    """
    model = copy.deepcopy(model)
    layers = _chosen(model, plan, reporter)
    for index in range(plan.rounds):
        reporter.check_cancelled()
        reporter.progress(index / plan.rounds, f"Sparsifying, round {index + 1} of {plan.rounds}")
        done = 1 - (1 - (index + 1) / plan.rounds) ** 3
        _empty(layers, plan, done)
        if after_round is not None and index + 1 < plan.rounds:
            after_round(model, index)
    return model


def sparsity_of(model: nn.Module) -> list[LayerSparsity]:
    """Count the zeros of each convolution and linear layer."""
    return [
        LayerSparsity(
            name=name, weights=m.weight.numel(), zeros=m.weight.numel() - int(torch.count_nonzero(m.weight))
        )
        for name, m in weighted_layers(model).items()
    ]


def zeros_held(model: nn.Module) -> Callable[[nn.Module], None]:
    """Return what sets to zero again, in a network in training, the weights that are zero in `model` now.

    To be called after each step of the optimizer, with the same network on whatever device.
    """
    zeros = {name: (m.weight == 0).detach() for name, m in weighted_layers(model).items()}
    zeros = {name: mask for name, mask in zeros.items() if mask.any()}

    @torch.no_grad()
    def hold(trained: nn.Module) -> None:
        for name, mask in zeros.items():
            weight: Tensor = trained.get_parameter(f"{name}.weight")
            if mask.device != weight.device:
                zeros[name] = mask = mask.to(weight.device)
            weight.masked_fill_(mask, 0)  # also where the step has made it not a number

    return hold


def _chosen(model: nn.Module, plan: SparsityPlan, reporter: Reporter) -> dict[str, Weighted]:
    layers = weighted_layers(model)
    check_patterns(plan.keep, layers, "keep")
    check_patterns(plan.ratios, layers, "ratios")
    chosen = {
        name: layer
        for name, layer in layers.items()
        if layer.weight.requires_grad and not matches(name, plan.keep)  # not a fixed shortcut, for one
    }
    if plan.kept_of is not None:
        m = plan.kept_of[1]
        unfit = [name for name, layer in chosen.items() if layer.weight.shape[1] % m]
        if unfit:
            reporter.log(f"Left dense, since their inputs do not come in groups of {m}: {', '.join(unfit)}")
        chosen = {name: layer for name, layer in chosen.items() if name not in unfit}
    if not chosen:
        raise StepError("No layer is left to sparsify: keep fewer layers, or choose another pattern.")
    return chosen


@torch.no_grad()
def _empty(layers: dict[str, Weighted], plan: SparsityPlan, done: float) -> None:
    """Set weights to zero; `done`, 0..1, is the share of the way to the plan's ratios."""
    if plan.kept_of is not None:
        n, m = plan.kept_of
        stay = m - int((m - n) * done + 1e-9)
        for layer in layers.values():
            layer.weight.mul_(largest_of_groups(layer.weight, stay, m))
        return
    together: list[Tensor] = []
    for name, layer in layers.items():
        own = by_pattern(name, plan.ratios)
        if own is None and plan.scope == "global":
            together.append(layer.weight)
        else:
            _empty_smallest([layer.weight], (plan.ratio if own is None else own) * done)
    if together:
        _empty_smallest(together, plan.ratio * done)


def _empty_smallest(weights: list[Tensor], ratio: float) -> None:
    """Set exactly the share `ratio` of these weights to zero, the smallest ones; the first of equal ones."""
    sizes = torch.cat([weight.abs().flatten() for weight in weights])
    count = round(ratio * sizes.numel())
    if count == 0:
        return
    bound = torch.kthvalue(sizes, count).values
    empty = sizes < bound
    ties = (sizes == bound).nonzero().flatten()
    empty[ties[: count - int(empty.sum())]] = True
    for weight, mask in zip(weights, empty.split([weight.numel() for weight in weights]), strict=True):
        weight.masked_fill_(mask.view_as(weight), 0)


def largest_of_groups(weight: Tensor, n: int, m: int) -> Tensor:
    """Return 1 for the `n` largest of each `m` consecutive inputs, else 0.

    Args:
        weight: (O, I) or (O, I, kh, kw), I divisible by `m`; each position of a kernel has its own groups.
    """
    groups = weight.abs().movedim(1, -1).unflatten(-1, (-1, m))  # (O, [kh, kw,] I / m, m)
    chosen = torch.zeros_like(groups).scatter_(-1, groups.topk(n, dim=-1).indices, 1)
    return chosen.flatten(-2).movedim(-1, 1)
