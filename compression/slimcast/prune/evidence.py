"""What a criterion may look at: the network, and training images where it needs them."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

Scores = Mapping[str, Tensor]
"""Importance of each channel, (channels,), by the group's name, for groups that can be ranked."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Training images, normalised, (N, C, H, W) float32, with their labels, (N,) int64."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What there is to judge by.

    Attributes:
        model: in evaluation mode, on the CPU; a criterion leaves it as it is.
        samples: None where the criterion needs none.
        seed: of everything random.
    """

    model: nn.Module
    samples: Samples | None = None
    seed: int = 0
