"""How large a picture must be, so that a model's input can be made of it and no detail is lost."""

import math

from slimcast_edge.artifact import InputSpec
from slimcast_edge.ink import WORKING_SIDE
from slimcast_edge.wire import CameraView

_ROUNDING = 1.02  # a part that was cut out may lack a pixel
_LEAST_SIDE = 64  # of a picture that a camera shrinks itself: image processors shrink by so much and no more


def share_needed(spec: InputSpec, height: float, width: float) -> float:
    """Return how far a picture may be shrunk: 0.5 where half of its height and width would do as well.

    More than 1 means that the picture is smaller than what the input is made of.

    Args:
        spec: what the input is to be.
        height: of the picture, pixels.
        width: of the picture, pixels.

    """
    rules = spec.frame
    left, top, right, bottom = rules.region or (0.0, 0.0, 1.0, 1.0)
    height, width = height * (bottom - top), width * (right - left)
    rows, columns = (rules.detail, rules.detail) if rules.detail else (spec.height, spec.width)
    shares = rows / height, columns / width
    share = min(shares) if spec.resize == "letterbox" else max(shares)
    return max(share, WORKING_SIDE / min(height, width)) if rules.subject == "ink" else share


def suffices(spec: InputSpec, height: int, width: int) -> bool:
    """Return whether such a picture, height and width in pixels, has all the detail that an input shows."""
    return share_needed(spec, height, width) <= _ROUNDING


def needed_size(spec: InputSpec, view: CameraView, width: int, height: int) -> tuple[int, int]:
    """Return the smallest size with the stream's proportions that costs a model no detail, (width, height).

    Args:
        spec: of the model's input. view: how the picture is turned and cut before the model sees it.
        width: of the stream, pixels. height: of the stream, pixels.

    """
    rows, columns = (width, height) if view.rotation in (90, 270) else (height, width)
    left, top, right, bottom = view.region or (0.0, 0.0, 1.0, 1.0)
    share = share_needed(spec, rows * (bottom - top), columns * (right - left))
    share = min(1.0, max(share, _LEAST_SIDE / min(width, height)))
    return min(width, _even(width * share)), min(height, _even(height * share))


def _even(pixels: float) -> int:
    # Rounded up, but not for what a product of floats is too much.
    return 2 * math.ceil(round(pixels, 6) / 2)
