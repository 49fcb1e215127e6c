"""Makes an input of a frame, as its artifact says. Normalisation is in the graph: all stays uint8."""

import numpy as np
from PIL import Image

from slimcast_edge.artifact import FrameSpec, InputSpec
from slimcast_edge.ink import isolate, locate
from slimcast_edge.region import Box, cut

_LUMA = np.array([19595, 38470, 7471], np.uint32)  # ITU-R 601 in 1/65536, as Pillow's own conversion
_AS_IT_IS = FrameSpec()
_WHOLE = (0.0, 0.0, 1.0, 1.0)
_BLACK, _LIGHT = 16, 200  # a picture with such a rim and such a maximum is light on black already
_LEAST_RANGE = 48  # brightness: less is an empty wall, and stretching it would show noise
_TAILS = (1.0, 99.0)  # percentiles that become black and white


def prepare(pixels: np.ndarray, spec: InputSpec, *, scaled: bool = False) -> np.ndarray:
    """Return the frame, uint8 (H, W, 3) or (H, W, 1), as one input, uint8 (1, h, w, c).

    What is too large is averaged down, so that no pixel is skipped. A frame that already fits is passed on
    without a copy.

    Args:
        pixels: the frame.
        spec: what the input is to be.
        scaled: a camera has brought it to this size, so one of the input's size is no finished input.

    """
    fits = pixels.shape[:2] == (spec.height, spec.width)
    if fits and (not scaled or spec.frame == _AS_IT_IS):
        return np.ascontiguousarray(_with_channels(pixels, spec.channels))[None]
    if spec.frame == _AS_IT_IS:
        return np.ascontiguousarray(_with_channels(_resized(pixels, spec), spec.channels))[None]
    side = spec.frame.detail
    if side is None:
        return np.ascontiguousarray(_framed(pixels, spec))[None]
    first = spec.model_copy(update={"height": side, "width": side})
    return np.ascontiguousarray(_resized(_framed(pixels, first), spec))[None]


def looked_at(pixels: np.ndarray, spec: InputSpec) -> Box:
    """Return the part of a frame, uint8 (H, W, C), that becomes the input, in shares of the frame's sides.

    Where writing is searched, that is the writing that was found.
    """
    rules = spec.frame
    part = cut(pixels, rules.region)
    height, width = part.shape[:2]
    writing = rules.subject == "ink" and not _is_light_on_black(_with_channels(_resized(part, spec), 1))
    found = locate(part, spec) if writing else None
    if found is None:
        found = _WHOLE if spec.resize == "letterbox" else _crop_in_shares(height, width, spec)
    outer = rules.region or _WHOLE
    return (
        outer[0] + found[0] * (outer[2] - outer[0]),
        outer[1] + found[1] * (outer[3] - outer[1]),
        outer[0] + found[2] * (outer[2] - outer[0]),
        outer[1] + found[3] * (outer[3] - outer[1]),
    )


def _framed(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Apply what is said of frames, uint8 (h, w, c)."""
    rules = spec.frame
    part = cut(pixels, rules.region)
    plain = _with_channels(_resized(part, spec), spec.channels)
    if (rules.invert == "auto" or rules.subject == "ink") and _is_light_on_black(plain):
        return plain
    if rules.subject == "ink":
        found = isolate(part, spec)
        if found is not None:
            return _with_channels(found, spec.channels)
    return _toned(plain, rules)


def _is_light_on_black(pixels: np.ndarray) -> bool:
    rim = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    return bool(np.median(rim) <= _BLACK and pixels.max() >= _LIGHT)


def _toned(pixels: np.ndarray, rules: FrameSpec) -> np.ndarray:
    low, high = (float(level) for level in np.percentile(pixels, _TAILS))
    # What most of a picture shows is its ground.
    bright = float(np.median(pixels)) > (low + high) / 2
    inverted = rules.invert == "always" or (rules.invert == "auto" and bright)
    if rules.contrast == "keep":
        low, high = 0.0, 255.0
    elif high - low < _LEAST_RANGE:
        low, high = (high - _LEAST_RANGE, high) if bright else (low, low + _LEAST_RANGE)
    levels = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255).round().astype(np.uint8)
    return (255 - levels if inverted else levels)[pixels]


def _resized(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    height, width = pixels.shape[:2]
    if (height, width) == (spec.height, spec.width):
        return pixels
    if spec.resize == "letterbox":
        return _letterboxed(pixels, spec)
    return _scale(pixels, _crop(height, width, spec), (spec.width, spec.height))


def _letterboxed(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Return the whole picture between black bars."""
    height, width = pixels.shape[:2]
    factor = min(spec.width / width, spec.height / height)
    inner_width, inner_height = max(1, round(width * factor)), max(1, round(height * factor))
    out = np.zeros((spec.height, spec.width, pixels.shape[-1]), np.uint8)
    top, left = (spec.height - inner_height) // 2, (spec.width - inner_width) // 2
    inner = _scale(pixels, (0, 0, width, height), (inner_width, inner_height))
    out[top : top + inner_height, left : left + inner_width] = inner
    return out


def _crop(height: int, width: int, spec: InputSpec) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) in pixels."""
    if spec.resize == "stretch":
        return (0, 0, width, height)
    # One side stays as it is, exactly: through a common factor, 225/224 * 224 is more than 225.
    crop_width, crop_height = float(width), float(height)
    if height * spec.width <= width * spec.height:
        crop_width = height * spec.width / spec.height
    else:
        crop_height = width * spec.height / spec.width
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    return (left, top, min(left + crop_width, width), min(top + crop_height, height))


def _crop_in_shares(height: int, width: int, spec: InputSpec) -> Box:
    left, top, right, bottom = _crop(height, width, spec)
    return (left / width, top / height, right / width, bottom / height)


def _scale(pixels: np.ndarray, box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    # Rows above and below the crop are left out first: that is free, since rows lie one behind the other.
    first, last = int(box[1]), min(pixels.shape[0], int(np.ceil(box[3])))
    rows = pixels[first:last]
    image = Image.fromarray(rows[..., 0] if rows.shape[-1] == 1 else rows)
    inner = (box[0], box[1] - first, box[2], box[3] - first)
    shrinks = box[2] - box[0] >= size[0]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    scaled = np.asarray(image.resize(size, method, box=inner))
    return scaled[..., None] if scaled.ndim == 2 else scaled


def _with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    return ((pixels @ _LUMA + 0x8000) >> 16).astype(np.uint8)[..., None]
