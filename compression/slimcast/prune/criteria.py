"""Which channels go first. Each criterion returns an importance for Torch-Pruning."""

from typing import Any


def l2() -> Any:
    """Return the L2 norm over a channel's whole dependency group."""
    import torch_pruning as tp

    return tp.importance.GroupMagnitudeImportance(p=2)
