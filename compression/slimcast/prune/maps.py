"""Which channels go first, judged by their feature maps on training images.

A channel's map is looked at where it is read: at the input of the convolutions and linear layers behind it,
after norm, activation and pooling.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.prune.criteria import relative
from slimcast.prune.evidence import Evidence, Scores
from slimcast.prune.gradients import required
from slimcast.prune.groups import ChannelGroup

_BATCH = 32
_RANKED_IMAGES = 32
"""A map's rank hardly changes from image to image (HRank, figure 2), and each costs a decomposition."""
_SMALLEST_MAP = 2

Statistic = Callable[[Tensor], Tensor]
"""(N, C, ...) -> sum over the images of something for each channel, (C,)."""


def apoz(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """One minus the average share of zeros after the activation (Hu et al. 2016, arXiv:1607.03250).

    A group whose maps are never zero (no ReLU on their way) is not ranked.

    Raises:
        StepError: that holds for all groups.
    """
    samples = required(evidence)
    zeros = _statistics(evidence.model, samples.images, _zero_shares, inputs=True)
    found = {}
    for group in groups:
        share = _of_group(group, zeros, kinds=("in",))
        if share is not None and float(share.max()) > 0:
            found[group.name] = 1 - share
    if not found:
        raise StepError(
            "apoz counts zeros behind activations, and this network's maps have none: it lacks ReLU. "
            "Choose another criterion, such as hrank."
        )
    return found


def hrank(groups: Sequence[ChannelGroup], evidence: Evidence) -> Scores:
    """Average rank of a channel's feature maps, as matrices (Lin et al. 2020, arXiv:2002.10179).

    Where all readers see single values (behind global pooling or flattening), the maps are taken as they
    leave the group's own layers. A group without maps (linear layers only) is not ranked.

    Raises:
        StepError: that holds for all groups.
    """
    images = required(evidence).images[:_RANKED_IMAGES]
    read = _statistics(evidence.model, images, _ranks, inputs=True)
    made = _statistics(evidence.model, images, _ranks, inputs=False)
    found = {}
    for group in groups:
        rank = _of_group(group, read, kinds=("in",))
        if rank is None:
            rank = _of_group(group, made, kinds=("norm",))
        if rank is None:
            rank = _of_group(group, made, kinds=("out",))
        if rank is not None:
            found[group.name] = relative(rank)
    if not found:
        raise StepError(
            "hrank ranks channels by the rank of their feature maps, and this network has none of at least "
            f"{_SMALLEST_MAP}x{_SMALLEST_MAP}. Choose another criterion, such as l2."
        )
    return found


def _zero_shares(values: Tensor) -> Tensor:
    zero = (values == 0).float()
    if values.ndim == 4:
        return zero.mean((2, 3)).sum(0)
    return zero.flatten(1, -2).mean(1).sum(0) if values.ndim == 3 else zero.sum(0)


def _ranks(values: Tensor) -> Tensor:
    if values.ndim != 4 or min(values.shape[2:]) < _SMALLEST_MAP:
        return values.new_zeros(0)
    return torch.linalg.matrix_rank(values).float().sum(0)


@torch.no_grad()
def _statistics(model: nn.Module, images: Tensor, of: Statistic, *, inputs: bool) -> dict[str, Tensor]:
    """Return the mean over the images at each layer's input or output, (C,)."""
    sums: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def look(_module: nn.Module, given: Any, made: Tensor) -> None:
            seen = of(given[0] if inputs else made)
            if len(seen):
                sums[name] = sums.get(name, torch.zeros_like(seen)) + seen

        return look

    kinds: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.Linear)
    kinds += () if inputs else (nn.BatchNorm2d,)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    hooks = [module.register_forward_hook(watch(name)) for name, module in layers.items()]
    try:
        for start in range(0, len(images), _BATCH):
            model(images[start : start + _BATCH])
    finally:
        for hook in hooks:
            hook.remove()
    return {name: value / len(images) for name, value in sums.items()}


def _of_group(group: ChannelGroup, statistics: dict[str, Tensor], *, kinds: tuple[str, ...]) -> Tensor | None:
    """Average over all places where a channel of the group is looked at; None where it is not."""
    total, places = torch.zeros(group.channels), torch.zeros(group.channels)
    for part in group.parts:
        if part.kind in kinds and part.layer in statistics:
            total.index_add_(0, part.roots, statistics[part.layer][part.indices])
            places.index_add_(0, part.roots, torch.ones(len(part.roots)))
    return None if float(places.min()) == 0 else total / places
