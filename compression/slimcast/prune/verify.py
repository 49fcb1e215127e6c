"""Does a network without some channels compute what the whole one does when nobody reads them?"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slimcast.errors import StepError
from slimcast.prune.groups import ChannelGroup, Removed, remove, without_inputs

_TOLERANCE = 1e-3  # of the largest output: sums in another order
_ACROSS_CHANNELS = (nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.MultiheadAttention, nn.Softmax)
"""Layers whose other channels change when one is gone: there only the shapes can be checked."""


def check_cut(
    model: nn.Module,
    pruned: nn.Module,
    example: Tensor,
    *,
    groups: Sequence[ChannelGroup],
    removed: Removed,
) -> None:
    """See that the right channels have gone, with one random image.

    Raises:
        StepError: the network fails, or answers otherwise; says in which layers.
    """
    reason = _difference(model, pruned, example, groups, removed)
    if reason is None:
        return
    for group in groups:
        if indices := removed.get(group.name):
            alone = {group.name: indices}
            found = _difference(model, remove(model, [group], alone), example, [group], alone)
            if found is not None:
                layers = ", ".join(group.layers)
                raise StepError(
                    f"Torch-Pruning gets the channels of {group.name!r} wrong: {found}. Add them to keep "
                    f"({layers}), or choose another network."
                )
    raise StepError(f"The pruned network is not what is left of the whole one: {reason}.")


def _difference(
    model: nn.Module, pruned: nn.Module, example: Tensor, groups: Sequence[ChannelGroup], removed: Removed
) -> str | None:
    image = torch.randn(example.shape, generator=torch.Generator().manual_seed(0))
    blind = without_inputs(model, groups, removed)
    with torch.no_grad():
        wanted = blind.eval()(image)
        try:
            answer = pruned.eval()(image)
        except Exception as error:  # whatever a forward pass with wrong shapes runs into
            return f"without some of them the network fails ({type(error).__name__}: {error})"
    if answer.shape != wanted.shape:
        return f"the output becomes {tuple(answer.shape)} instead of {tuple(wanted.shape)}"
    if any(isinstance(module, _ACROSS_CHANNELS) for module in model.modules()):
        return None
    largest = float(wanted.abs().max())
    difference = float((answer - wanted).abs().max())
    if difference > _TOLERANCE * max(largest, 1e-6):
        return f"outputs differ by {difference:.3g} of {largest:.3g}"
    return None  # also where the network's own answers are not numbers
