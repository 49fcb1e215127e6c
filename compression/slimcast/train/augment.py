"""Augmentation of whole batches, on uint8 images."""

import math

import torch
from torch import Tensor

from slimcast.train.plan import Augmentation

_SHIFT_SHARE = 1 / 14  # of the side: 2 pixels at 28 and 32; what digits and signs can bear
_CROP_SHARE = 1 / 8  # of the side: 4 pixels at 32, what everybody pads CIFAR with
_ERASED_AREA = (0.02, 0.33)  # Zhong et al. 2017
_ERASED_ASPECT = (0.3, 1 / 0.3)


class Augmenter:
    """Varies batches of a data set, with random numbers of its own."""

    def __init__(
        self, options: Augmentation, *, mirrors: bool, mean: tuple[float, ...], generator: torch.Generator
    ) -> None:
        """Set it up.

        Args:
            options: what to do.
            mirrors: whether a mirrored image of these data is still of its class.
            mean: of each channel, 0..1, the colour of what is erased.
            generator: on the CPU, so that a seed means the same on every device.
        """
        self._options, self._mirrors, self._generator = options, mirrors, generator
        self._flip = mirrors if options.flip is None else options.flip
        self._colour = torch.tensor([round(255 * value) for value in mean], dtype=torch.uint8)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the batch varied, (N, H, W, C) uint8 on its own device."""
        if self._options.shift:
            share = _CROP_SHARE if self._mirrors else _SHIFT_SHARE
            images = moved(images, self._generator, share=share, reflect=self._mirrors, flip=self._flip)
        elif self._flip:
            images = moved(images, self._generator, share=0.0, flip=True)
        if self._options.erase:
            images = erased(images, self._generator, chance=self._options.erase, colour=self._colour)
        return images


def moved(
    images: Tensor, generator: torch.Generator, *, share: float, reflect: bool = False, flip: bool = False
) -> Tensor:
    """Shift each image by up to `share` of its side, and mirror half of them, (N, H, W, C) uint8.

    What comes in from outside repeats the border, or reflects the image. One gather does all of it.
    """
    count, height, width, channels = images.shape
    rows, columns = (
        _source(count, side, generator, share=share, reflect=reflect) for side in (height, width)
    )
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    first = torch.arange(count)[:, None] * height
    pixels = ((first + rows) * width)[:, :, None] + columns[:, None, :]  # (N, H, W)
    pixels = pixels.reshape(-1).to(images.device, non_blocking=True)
    return images.reshape(-1, channels).index_select(0, pixels).view(images.shape)


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to a fourteenth of its side, (N, H, W, C) uint8; the border is repeated."""
    return moved(images, generator, share=_SHIFT_SHARE)


def _source(count: int, side: int, generator: torch.Generator, *, share: float, reflect: bool) -> Tensor:
    """Return for each image and place along one axis where its pixel comes from, (N, side)."""
    reach = min(side - 1, max(1, round(side * share))) if share else 0
    offsets = torch.randint(-reach, reach + 1, (count, 1), generator=generator)
    places = torch.arange(side) + offsets
    if not reflect:
        return places.clamp_(0, side - 1)
    return (side - 1) - ((side - 1) - places.abs()).abs()


def erased(images: Tensor, generator: torch.Generator, *, chance: float, colour: Tensor) -> Tensor:
    """Replace a random rectangle of some images by `colour` (C,), (N, H, W, C) uint8.

    Zhong et al. 2017, arXiv:1708.04896: 2 to 33 % of the area, with sides from 3:10 to 10:3.
    """
    count, height, width, _ = images.shape
    random = torch.rand(5, count, 1, generator=generator)
    area = height * width * (_ERASED_AREA[0] + random[0] * (_ERASED_AREA[1] - _ERASED_AREA[0]))
    low, high = (math.log(limit) for limit in _ERASED_ASPECT)
    aspect = torch.exp(low + random[1] * (high - low))
    tall, wide = (area * aspect).sqrt().clamp(max=height), (area / aspect).sqrt().clamp(max=width)
    top, left = random[2] * (height - tall), random[3] * (width - wide)
    rows, columns = torch.arange(height), torch.arange(width)
    inside_rows = (rows >= top.floor()) & (rows < top.floor() + tall.round()) & (random[4] < chance)
    inside_columns = (columns >= left.floor()) & (columns < left.floor() + wide.round())
    hole = (inside_rows[:, :, None] & inside_columns[:, None, :])[..., None].to(images.device)
    return torch.where(hole, colour.to(images.device), images)
