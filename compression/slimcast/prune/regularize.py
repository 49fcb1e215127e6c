"""Penalties that draw unimportant channels towards zero in training, so that less is lost later.

Each works on whole groups: all that belongs to a channel shrinks together. They add to the gradients that a
training step has computed, and are meant to be called after each backward pass.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.prune.groups import ChannelGroup, Part, find_groups

Hook = Callable[[nn.Module], None]

_ALPHA = 4.0  # the least important channel of a group is pulled 2^4 times as hard as the most important one
_GROWTH_STEPS = 10
WEIGHTS = {"group_norm": 5e-4, "growing": 1e-4, "bn_scale": 1e-4}
"""Default weights, by kind."""


def regularizer(
    kind: str, model: nn.Module, example: Tensor, *, keep: Iterable[str] = (), weight: float | None = None
) -> Hook:
    """Return what adds the penalty's gradient to the network's own.

    Args:
        kind: ``group_norm`` pulls each channel by its own force, the harder the weaker it is within its group
            (Fang et al., DepGraph, CVPR 2023, arXiv:2301.12900). ``growing`` lets the force on weak channels
            rise while training goes on (Wang et al., ICLR 2021, arXiv:2012.09243). ``bn_scale`` is L1 on the
            scales of batch norms (Liu et al., Network Slimming, ICCV 2017, arXiv:1708.06519).
        model: the network that will be trained. example: one image, (1, C, H, W).
        keep: name patterns of layers that stay, and are not pulled.
        weight: of the penalty (for ``growing``: how much the force rises at each tenth call).

    Raises:
        StepError: there is nothing to pull, or Torch-Pruning cannot follow the network.
    """
    groups = find_groups(model, example, keep=keep)
    weight = WEIGHTS[kind] if weight is None else weight
    if kind == "bn_scale":
        return _scales(model, groups, weight)
    members = [_Members(model, group) for group in groups]
    if not members:
        raise StepError("No layer of this network can be pruned: there is nothing to regularize.")
    return _GroupNorm(members, weight) if kind == "group_norm" else _Growing(members, weight)


def _scales(model: nn.Module, groups: Iterable[ChannelGroup], weight: float) -> Hook:
    modules = dict(model.named_modules())
    names = {part.layer for group in groups for part in group.parts if part.kind == "norm"}
    scales = [m.weight for name in sorted(names) if isinstance((m := modules[name]).weight, nn.Parameter)]
    if not scales:
        raise StepError(
            "regularize: bn_scale draws the scales of batch norms towards zero, and this network has none. "
            "Choose group_norm."
        )

    def pull(_model: nn.Module) -> None:
        for scale in scales:
            if scale.grad is not None:
                scale.grad.add_(torch.sign(scale.detach()), alpha=weight)

    return pull


@dataclass(frozen=True, eq=False)
class _Slice:
    """A weight, the dimension of its channels, and the group's channel of each (its count: none)."""

    weight: nn.Parameter
    dim: int
    roots: Tensor

    def spread(self, values: Tensor) -> Tensor:
        """Bring values of the group, (channels + 1,), to the weight's shape."""
        shape = [1] * self.weight.ndim
        shape[self.dim] = -1
        return values[self.roots].view(shape)


class _Members:
    """All weights of a group, ready to be looked at at each training step."""

    def __init__(self, model: nn.Module, group: ChannelGroup) -> None:
        self.channels = group.channels
        modules = dict(model.named_modules())
        found = [_slice_of(modules[part.layer], part, group) for part in group.parts if part.layer in modules]
        self.slices = [one for one in found if one is not None and one.weight.requires_grad]

    @torch.no_grad()
    def importance(self) -> Tensor:
        """Return the mean squared norm of each channel over its layers, (channels,)."""
        device = self.slices[0].weight.device
        total = torch.zeros(self.channels + 1, device=device)
        for one in self.slices:
            across = [dim for dim in range(one.weight.ndim) if dim != one.dim]
            squares = one.weight.detach().float() ** 2
            total.index_add_(0, one.roots.to(device), squares.sum(across) if across else squares)
        return total[:-1] / len(self.slices)

    @torch.no_grad()
    def pull(self, force: Tensor) -> None:
        """Add force x weight to the gradients; force is (channels,)."""
        force = torch.cat([force, force.new_zeros(1)])
        for one in self.slices:
            if one.weight.grad is not None:
                one.weight.grad.addcmul_(one.spread(force).to(one.weight.dtype), one.weight.detach())


def _slice_of(module: nn.Module, part: Part, group: ChannelGroup) -> _Slice | None:
    weight = getattr(module, "weight", None)
    grouped = isinstance(module, nn.Conv2d) and module.groups > 1 and part.kind == "in"
    if not isinstance(weight, nn.Parameter) or part.kind == "other" or grouped:
        return None
    dim = 1 if part.kind == "in" else 0
    roots = torch.full((weight.shape[dim],), group.channels)
    roots[part.indices] = part.roots
    return _Slice(weight, dim, roots)


def _weakness(importance: Tensor) -> Tensor:
    """Return 0 for the most important channel and 1 for the least; 0 where all are alike."""
    largest, smallest = importance.max(), importance.min()
    return (largest - importance) / (largest - smallest).clamp(min=1e-12)


class _GroupNorm:
    def __init__(self, members: list[_Members], weight: float) -> None:
        self._members, self._weight = [one for one in members if one.slices], weight

    def __call__(self, _model: nn.Module) -> None:
        for one in self._members:
            one.pull(self._weight * 2 ** (_ALPHA * _weakness(one.importance().sqrt())))


class _Growing:
    def __init__(self, members: list[_Members], weight: float) -> None:
        self._members, self._weight = [one for one in members if one.slices], weight
        self._forces = [torch.zeros(one.channels) for one in self._members]
        self._calls = 0

    def __call__(self, _model: nn.Module) -> None:
        grows = self._calls % _GROWTH_STEPS == 0
        self._calls += 1
        for index, one in enumerate(self._members):
            if grows:
                weakness = _weakness(one.importance())
                self._forces[index] = self._forces[index].to(weakness.device) + self._weight * weakness
            one.pull(self._forces[index])
