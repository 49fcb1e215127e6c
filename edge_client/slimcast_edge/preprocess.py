"""Brings a frame to the size of an artifact's input. Normalisation is in the graph: all stays uint8."""

import numpy as np
from PIL import Image

from slimcast_edge.artifact import InputSpec

_LUMA = np.array([19595, 38470, 7471], np.uint32)  # ITU-R 601 in 1/65536, as Pillow's own conversion


def prepare(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Return the frame, uint8 (H, W, 3) or (H, W, 1), as one input, uint8 (1, h, w, c).

    The largest centred part of the right proportions is cut out (or the whole stretched) and averaged down,
    so that no pixel is skipped. A frame that already fits is passed on without a copy.
    """
    box = _crop(pixels.shape[0], pixels.shape[1], spec)
    if box == (0, 0, spec.width, spec.height) and pixels.shape[:2] == (spec.height, spec.width):
        scaled = pixels
    else:
        scaled = _scale(pixels, box, spec)
    return np.ascontiguousarray(_with_channels(scaled, spec.channels))[None]


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


def _scale(pixels: np.ndarray, box: tuple[float, float, float, float], spec: InputSpec) -> np.ndarray:
    # Rows above and below the crop are left out first: that is free, since rows lie one behind the other.
    first, last = int(box[1]), min(pixels.shape[0], int(np.ceil(box[3])))
    rows = pixels[first:last]
    image = Image.fromarray(rows[..., 0] if rows.shape[-1] == 1 else rows)
    inner = (box[0], box[1] - first, box[2], box[3] - first)
    shrinks = box[2] - box[0] >= spec.width
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    scaled = np.asarray(image.resize((spec.width, spec.height), method, box=inner))
    return scaled[..., None] if scaled.ndim == 2 else scaled


def _with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    return ((pixels @ _LUMA + 0x8000) >> 16).astype(np.uint8)[..., None]
