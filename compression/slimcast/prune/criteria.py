"""Which channels go first, judged by weights and gradients.

Each criterion is a function (groups, evidence) -> importance of each channel of each group. Over a group, the
importance of a channel is the mean over the layers that have a part in it, and it is divided by the group's
mean, so that groups can be compared.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.prune.evidence import Evidence, Scores
from slimcast.prune.gradients import mean_gradients, mean_squared_gradients
from slimcast.prune.groups import ChannelGroup, Part

Values = Callable[[str, Tensor], Tensor | None]
"""(name of a weight, the weight) -> something for each of its numbers; None where there is nothing."""
Rate = Callable[[Part, nn.Module, Tensor], Tensor]
"""(part, its layer, values shaped like its weight) -> importance of each of the part's indices, (n,)."""


def l1(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Sum of the absolute weights (Li et al. 2017, arXiv:1608.08710)."""
    return _rated(groups, evidence, lambda _name, weight: weight.abs())


def l2(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Sum of the squared weights (Li et al. 2017, arXiv:1608.08710)."""
    return _rated(groups, evidence, lambda _name, weight: weight**2)


def lamp(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Squared norm as a share of all channels of the group that are at least as strong.

    Lee et al. 2021, arXiv:2010.07611, for channels instead of single weights.
    """
    return {name: _lamp(score) for name, score in l2(groups, evidence).items()}


def _lamp(score: Tensor) -> Tensor:
    ordered, places = score.sort()
    at_least_as_strong = ordered.flip(0).cumsum(0).flip(0).clamp(min=1e-30)
    out = torch.empty_like(score)
    out[places] = ordered / at_least_as_strong
    return out


def taylor(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """First-order change of the loss, |weight x gradient|, summed (Molchanov et al. 2019, 1906.10771)."""
    gradients = mean_gradients(evidence)
    return _rated(
        groups, evidence, lambda name, weight: (weight * gradients[name]).abs() if name in gradients else None
    )


def hessian(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Second-order change of the loss, weight^2 x E[gradient^2] / 2, summed.

    The expectation is over single images: squaring the gradient of a whole batch would be another, far
    smaller number. Optimal Brain Damage (LeCun, Denker and Solla 1989) with the Hessian's diagonal by the
    empirical Fisher information (Theis et al. 2018, arXiv:1801.05787).
    """
    squares = mean_squared_gradients(evidence)
    return _rated(
        groups, evidence, lambda name, weight: weight**2 * squares[name] / 2 if name in squares else None
    )


def fpgm(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Sum of the distances to all other filters of the layer (He et al. 2019, arXiv:1811.00250)."""
    return _rated(groups, evidence, lambda _name, weight: weight, rate=_distances, kinds=("out",))


def _distances(part: Part, _layer: nn.Module, values: Tensor) -> Tensor:
    filters = values[part.indices].flatten(1)
    return torch.cdist(filters, filters).sum(1)


def bn_scale(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Absolute scale of the batch norms (Liu et al. 2017, arXiv:1708.06519).

    Raises:
        StepError: the network has no batch norm with a scale.
    """
    scores = _rated(groups, evidence, lambda _name, weight: weight.abs(), kinds=("norm",))
    if not scores:
        raise StepError(
            "bn_scale ranks channels by the scale of their batch norm, and this network has none. "
            "Choose another criterion, such as l2."
        )
    return scores


def random(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Uniform chance, the same for the same seed (a baseline: Mittal et al. 2018, arXiv:1801.10447)."""
    generator = torch.Generator().manual_seed(evidence.seed)
    return {group.name: torch.rand(group.channels, generator=generator) for group in groups}


def _sums(part: Part, layer: nn.Module, values: Tensor) -> Tensor:
    if part.kind != "in":
        sums = values.flatten(1).sum(1) if values.ndim > 1 else values
    elif isinstance(layer, nn.Conv2d) and layer.groups > 1:
        # (blocks x outputs, inputs / blocks, k, k) -> (blocks, inputs / blocks)
        sums = values.unflatten(0, (layer.groups, -1)).sum((1, 3, 4)).flatten()
    else:
        sums = values.sum([dim for dim in range(values.ndim) if dim != 1])
    return sums[part.indices]


@torch.no_grad()
def _rated(
    groups: Sequence[ChannelGroup],
    evidence: Evidence,
    values: Values,
    *,
    rate: Rate = _sums,
    kinds: tuple[str, ...] = ("out", "in", "norm"),
) -> Scores:
    """Rate each channel in each layer, then average over the layers of its group.

    Args:
        kinds: of the parts that count.
    """
    modules: dict[str, Any] = dict(evidence.model.named_modules())
    found = {}
    for group in groups:
        parts = [part for part in group.parts if part.kind in kinds and _weight(modules, part) is not None]
        # Fixed layers (a shortcut that only copies) say nothing, unless everything is fixed.
        trained = [part for part in parts if modules[part.layer].weight.requires_grad]
        total, layers = torch.zeros(group.channels), torch.zeros(group.channels)
        for part in trained or parts:
            given = values(f"{part.layer}.weight", modules[part.layer].weight)
            if given is not None:
                # Several indices of one channel (a flattened map) add up.
                total.index_add_(0, part.roots, rate(part, modules[part.layer], given))
                layers[part.roots.unique()] += 1
        if float(layers.max()) > 0:
            found[group.name] = relative(total / layers.clamp(min=1))
    return found


def _weight(modules: dict[str, Any], part: Part) -> Tensor | None:
    return getattr(modules.get(part.layer), "weight", None)


def relative(score: Tensor) -> Tensor:
    """Divide by the mean, so that groups can be compared."""
    return score / score.mean().clamp(min=1e-30)
