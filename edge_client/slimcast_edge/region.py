"""A part of a picture, in shares of its sides."""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

_LEAST = 0.02
_Share = Annotated[float, Field(ge=0, le=1)]


def _has_area(value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = value
    if right - left < _LEAST or bottom - top < _LEAST:
        raise ValueError(
            "a region is [left, top, right, bottom] in shares of the picture's sides, such as "
            f"[0.25, 0.0, 0.75, 1.0], and at least {_LEAST} wide and high"
        )
    return value


Region = Annotated[tuple[_Share, _Share, _Share, _Share], AfterValidator(_has_area)]
"""(left, top, right, bottom), each 0 to 1."""

Box = tuple[float, float, float, float]
"""The same without its limits: of something that was found."""


def cut(pixels: np.ndarray, region: tuple[float, float, float, float] | None) -> np.ndarray:
    """Return a part of a picture, (H, W, C), without a copy; None is the whole of it."""
    if region is None:
        return pixels
    height, width = pixels.shape[:2]
    left, top, right, bottom = region
    first_row, first_column = min(int(top * height), height - 1), min(int(left * width), width - 1)
    return pixels[
        first_row : max(first_row + 1, round(bottom * height)),
        first_column : max(first_column + 1, round(right * width)),
    ]
