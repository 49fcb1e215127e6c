"""Augmentation of whole batches, on uint8 images."""

import torch
from torch import Tensor

# No flips: a mirrored digit is another digit, or none.
_SHIFT_SHARE = 1 / 14  # of the side: 2 pixels at 28 and 32


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to a fourteenth of its side, (N, H, W, C) uint8; the border is repeated."""
    count, height, width, _ = images.shape
    reach = max(1, round(height * _SHIFT_SHARE))
    offsets = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator)
    rows = (torch.arange(height) + offsets[0]).clamp_(0, height - 1).to(images.device)  # (N, H)
    columns = (torch.arange(width) + offsets[1]).clamp_(0, width - 1).to(images.device)  # (N, W)
    which = torch.arange(count, device=images.device)[:, None, None]
    return images[which, rows[:, :, None], columns[:, None, :]]
