"""From the uint8 images of a data set to what a network reads."""

import torch
from torch import Tensor

from slimcast.data.images import ImageData


class Normaliser:
    """Brings uint8 (N, H, W, C) to float32 (N, C, H, W) as the network wants it; channels last in memory."""

    def __init__(self, data: ImageData, device: torch.device) -> None:
        std = torch.tensor(data.std, device=device)
        scale, shift = 1 / (255 * std), -torch.tensor(data.mean, device=device) / std
        # A whole row of pixels at once: over the two or three channels alone no vector unit is ever full.
        self._width = data.image_size
        self._scale, self._shift = scale.repeat(self._width), shift.repeat(self._width)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the normalised batch."""
        rows = images.flatten(2).float()  # (N, H, W * C)
        return torch.addcmul(self._shift, rows, self._scale).view(images.shape).permute(0, 3, 1, 2)
