"""Which channels go first, judged by weights and gradients.

Each criterion is a function (groups, evidence) -> importance of each channel of each group. Over a group, the
importance of a channel is the mean over the layers that have a part in it, and it is divided by the group's
mean, so that groups can be compared.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.prune.evidence import Evidence, Scores
from slimcast.prune.gradients import mean_gradients, mean_squared_gradients
from slimcast.prune.groups import ChannelGroup, Part

Rate = Callable[[Tensor], Tensor]
"""(channels, values of each) -> importance of each channel."""


def l1(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Sum of the absolute weights (Li et al. 2017, arXiv:1608.08710)."""
    return _summed(groups, evidence, {name: p.detach().abs() for name, p in _weights(evidence).items()})


def l2(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Sum of the squared weights (Li et al. 2017, arXiv:1608.08710)."""
    return _summed(groups, evidence, {name: p.detach() ** 2 for name, p in _weights(evidence).items()})


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
    weights = _weights(evidence)
    values = {name: (p * gradients[name]).detach().abs() for name, p in weights.items() if name in gradients}
    return _summed(groups, evidence, values)


def hessian(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Second-order change of the loss, weight^2 x E[gradient^2] / 2, summed.

    The expectation is over single images: squaring the gradient of a whole batch would be another, far
    smaller number. Optimal Brain Damage (LeCun, Denker and Solla 1989) with the Hessian's diagonal by the
    empirical Fisher information (Theis et al. 2018, arXiv:1801.05787).
    """
    squares = mean_squared_gradients(evidence)
    weights = _weights(evidence)
    values = {name: p.detach() ** 2 * squares[name] / 2 for name, p in weights.items() if name in squares}
    return _summed(groups, evidence, values)


def fpgm(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Sum of the distances to all other filters of the layer (He et al. 2019, arXiv:1811.00250)."""
    values = {name: parameter.detach() for name, parameter in _weights(evidence).items()}
    return _rated(groups, evidence, values, rate=lambda rows: torch.cdist(rows, rows).sum(1), kinds=("out",))


def bn_scale(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Absolute scale of the batch norms (Liu et al. 2017, arXiv:1708.06519).

    Raises:
        StepError: the network has no batch norm with a scale.
    """
    values = {name: parameter.detach().abs() for name, parameter in _weights(evidence).items()}
    scores = _rated(groups, evidence, values, rate=lambda rows: rows.sum(1), kinds=("norm",))
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


def _weights(evidence: Evidence) -> dict[str, nn.Parameter]:
    return {name: p for name, p in evidence.model.named_parameters() if name.endswith("weight")}


def _summed(groups: Sequence[ChannelGroup], evidence: Evidence, values: Mapping[str, Tensor]) -> Scores:
    return _rated(groups, evidence, values, rate=lambda rows: rows.sum(1), kinds=("out", "in", "norm"))


def _rated(
    groups: Sequence[ChannelGroup],
    evidence: Evidence,
    values: Mapping[str, Tensor],
    *,
    rate: Rate,
    kinds: tuple[str, ...],
) -> Scores:
    """Rate each channel in each layer, then average over the layers of its group.

    Args:
        values: something for each weight, shaped like it, by the parameter's name.
        kinds: of the parts that count.
    """
    modules: dict[str, Any] = dict(evidence.model.named_modules())
    found = {}
    for group in groups:
        parts = [p for p in group.parts if p.kind in kinds and f"{p.layer}.weight" in values]
        # Fixed layers (a shortcut that only copies) say nothing, unless everything is fixed.
        trained = [p for p in parts if modules[p.layer].weight.requires_grad]
        rated = [_rate_part(p, modules[p.layer], values[f"{p.layer}.weight"], rate) for p in trained or parts]
        if rated:
            found[group.name] = relative(_average(group.channels, rated))
    return found


def _rate_part(part: Part, layer: nn.Module, values: Tensor, rate: Rate) -> tuple[Tensor, Tensor]:
    """Return which channels of the group the layer rates, and how."""
    rows = _rows(part, layer, values)
    roots, places = torch.sort(part.roots, stable=True)
    channels, counts = torch.unique_consecutive(roots, return_counts=True)
    if len(channels) and bool((counts == counts[0]).all()):
        # Several rows of one channel (a flattened map) count as one long row.
        return channels, rate(rows[places].reshape(len(channels), -1))
    return part.roots, rate(rows)


def _rows(part: Part, layer: nn.Module, values: Tensor) -> Tensor:
    """Return the values that belong to each of the part's indices, (n, values)."""
    if part.kind != "in":
        return values[part.indices].flatten(1) if values.ndim > 1 else values[part.indices, None]
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        blocks = values.unflatten(0, (layer.groups, -1))  # (blocks, outputs / blocks, inputs / blocks, k, k)
        return blocks.transpose(1, 2).flatten(0, 1).flatten(1)[part.indices]
    return values.transpose(0, 1).flatten(1)[part.indices]


def _average(channels: int, rated: list[tuple[Tensor, Tensor]]) -> Tensor:
    total, layers = torch.zeros(channels), torch.zeros(channels)
    for which, score in rated:
        total.index_add_(0, which, score)
        layers.index_add_(0, torch.unique(which), torch.ones(len(torch.unique(which))))
    return total / layers.clamp(min=1)


def relative(score: Tensor) -> Tensor:
    """Divide by the mean, so that groups can be compared."""
    return score / score.mean().clamp(min=1e-30)
