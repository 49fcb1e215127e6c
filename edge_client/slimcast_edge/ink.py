"""Finds what is written or drawn in a picture of paper or a board, and makes an input of it.

Handwriting held before a camera differs from a data set in all but its shape: dark on light, unevenly lit,
anywhere in the picture, of any size. The ground (paper) is taken as the median of each tile; what differs
from it is ink, as a share of the light there, so that a shadow does not count. The ink that hangs together
nearest to the middle is scaled and centred as the data set's images were.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFilter

from slimcast_edge.artifact import InputSpec
from slimcast_edge.region import Box

WORKING_SIDE = 160
"""Shorter side that is worked on, at least, pixels; a larger picture is shrunk by a whole number."""

_TILES = 5  # along the shorter side: wider than a bold stroke, narrower than a shadow
_CELL = 3  # strokes that are no further apart belong together
_LEAST_LIGHT = 64
_LEAST_INK = 40  # of 255, in shares of the light: less is the paper's own texture
_DARKEST = 0.999  # quantile that counts as full ink: a small digit covers little of a picture
_THRESHOLD = 0.35  # share of full ink
_LEAST_SIZE = 0.06  # of the shorter side
_MOST_CELLS = 0.4  # more of the picture under ink is no writing
_REACH = 0.35  # of the shorter side: how far from the middle counts a third
_AT_THE_EDGE = 0.1  # what runs out of the picture is a hand or a shadow rather than the subject
_GAP = 0.12  # of the subject's size: a stroke so near, such as the bar of a 5, belongs to it
_LEAST_SHARE = 0.02  # of the subject's ink: less is a speck


def isolate(pixels: np.ndarray, spec: InputSpec) -> np.ndarray | None:
    """Return the writing in a picture, light on black, uint8 (h, w, 1); None where none is found.

    Args:
        pixels: uint8 (H, W, 3) or (H, W, 1).
        spec: size of the input; `frame` says which polarity, how large and how centred.

    """
    found = _subject(pixels, spec)
    return None if found is None else _placed(*found, spec)


def locate(pixels: np.ndarray, spec: InputSpec) -> Box | None:
    """Return where in a picture the writing is, in shares of its sides; None where none is found.

    Takes what `isolate` does.
    """
    found = _subject(pixels, spec)
    if found is None:
        return None
    strong = found[1]
    height, width = strong.shape
    rows, columns = np.flatnonzero(strong.any(1)), np.flatnonzero(strong.any(0))
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def _subject(pixels: np.ndarray, spec: InputSpec) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the writing's ink, float32 (h, w), 0 elsewhere, and where it is strong, bool (h, w)."""
    grey = _grey(pixels)
    ink = _ink(grey, spec.frame.invert)
    full = _quantile(ink, _DARKEST)
    if full < _LEAST_INK:
        return None
    strong = ink > max(_LEAST_INK / 2, _THRESHOLD * full)
    cells = _subject_cells(strong, ink)
    if cells is None:
        return None
    return np.where(cells, ink, 0).astype(np.float32), strong & cells


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Return luma at working size, uint8 (h, w)."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    factor = max(1, min(image.size) // WORKING_SIDE)
    return np.asarray(image.reduce(factor).convert("L"))


def _ink(grey: np.ndarray, invert: str) -> np.ndarray:
    """Return how far each pixel is from the ground, in shares of the light, uint8 (h, w)."""
    ground = _ground(grey)
    difference = ground - grey
    dark = (difference * (255 / np.maximum(ground, _LEAST_LIGHT))).clip(0, 255).astype(np.uint8)
    if invert == "always":
        return dark
    light = (difference * (-255 / np.maximum(255 - ground, _LEAST_LIGHT))).clip(0, 255).astype(np.uint8)
    if invert == "auto" and _quantile(dark, _DARKEST) >= _quantile(light, _DARKEST):
        return dark
    return light


def _quantile(levels: np.ndarray, share: float) -> int:
    counts = np.bincount(levels.ravel(), minlength=256)
    return int(np.searchsorted(counts.cumsum(), share * levels.size))


def _ground(grey: np.ndarray) -> np.ndarray:
    """Return the brightness of the ground everywhere: the median of each tile, spikes removed, smoothed."""
    height, width = grey.shape
    tile = max(4, -(-min(height, width) // _TILES))
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(grey, ((0, rows * tile - height), (0, columns * tile - width)), mode="symmetric")
    tiles = padded.reshape(rows, tile, columns, tile).swapaxes(1, 2).reshape(rows, columns, -1)
    medians = Image.fromarray(np.median(tiles, axis=-1).astype(np.uint8))
    calm = np.asarray(medians.filter(ImageFilter.MedianFilter(3)), np.float32)
    # One tile more on each side, by the slope there: a shadow goes on up to the edge.
    wider = Image.fromarray(
        np.pad(calm, 1, mode="reflect", reflect_type="odd") if min(calm.shape) > 1 else calm
    )
    edge = tile if min(calm.shape) > 1 else 0
    size = (columns * tile + 2 * edge, rows * tile + 2 * edge)
    smooth = np.asarray(wider.resize(size, Image.Resampling.BILINEAR))
    return smooth[edge : edge + height, edge : edge + width].clip(0, 255)


def _subject_cells(strong: np.ndarray, ink: np.ndarray) -> np.ndarray | None:
    """Return where the subject is, with a rim, bool (h, w)."""
    height, width = strong.shape
    rows, columns = -(-height // _CELL), -(-width // _CELL)
    pad = ((0, rows * _CELL - height), (0, columns * _CELL - width))
    inked = np.pad(np.where(strong, ink, 0), pad)
    per_cell = inked.reshape(rows, _CELL, columns, _CELL).sum((1, 3))
    occupied = per_cell > 0
    if occupied.mean() > _MOST_CELLS:
        return None
    parts = list(_parts(occupied))
    weights = [_weight(part, per_cell) for part in parts]
    if not any(weights):
        return None
    best = parts[int(np.argmax(weights))]
    subject = np.concatenate([best, *(part for part in parts if _belongs(part, best, per_cell))])
    chosen = np.zeros((rows + 2, columns + 2), bool)
    for down in range(3):
        for right in range(3):
            chosen[subject[:, 0] + down, subject[:, 1] + right] = True
    whole = chosen[1:-1, 1:-1].repeat(_CELL, 0).repeat(_CELL, 1)
    return whole[:height, :width]


def _belongs(part: np.ndarray, best: np.ndarray, per_cell: np.ndarray) -> bool:
    """Return whether some cells are one more stroke of the subject."""
    low, high = best.min(0), best.max(0)
    gap = np.maximum(part.min(0) - high, low - part.max(0)).max()
    amount, whole = (float(per_cell[cells[:, 0], cells[:, 1]].sum()) for cells in (part, best))
    return bool(
        part is not best and gap <= _GAP * (high - low + 1).max() + 1 and amount > _LEAST_SHARE * whole
    )


def _parts(occupied: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the cells, (n, 2), of everything that hangs together, corners included."""
    left = set(zip(*(indices.tolist() for indices in occupied.nonzero()), strict=True))
    while left:
        part = [left.pop()]
        for row, column in part:  # grows while it is gone through
            for near in [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    part.append(near)
        yield np.array(part)


def _weight(part: np.ndarray, per_cell: np.ndarray) -> float:
    """Return how likely some cells are the subject: their ink, less the further from the middle; 0: no."""
    shape = np.array(per_cell.shape)
    low, high = part.min(0), part.max(0)
    if (high - low + 1).max() < _LEAST_SIZE * shape.min():
        return 0.0
    amounts = per_cell[part[:, 0], part[:, 1]]
    centre = (part * amounts[:, None]).sum(0) / amounts.sum()
    away = np.linalg.norm(centre - (shape - 1) / 2) / shape.min()
    at_edge = (low == 0).any() or (high == shape - 1).any()
    return float(amounts.sum() * np.exp(-((away / _REACH) ** 2)) * (_AT_THE_EDGE if at_edge else 1.0))


def _placed(ink: np.ndarray, strong: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Scale and centre the ink, (h, w), and make its strokes full, uint8 (height, width, 1)."""
    rows, columns = np.flatnonzero(strong.any(1)), np.flatnonzero(strong.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    levels = ink[strong]
    low, high = 0.5 * float(levels.min()), 0.8 * float(np.percentile(levels, 75))
    toned = np.clip((ink - low) * (255 / max(1.0, high - low)), 0, 255)
    longer = max(bottom - top, right - left)
    scale = spec.frame.fill * min(spec.height, spec.width) / longer
    if spec.frame.centre == "mass":
        total = toned.sum()
        y = float((toned.sum(1) * (np.arange(len(toned)) + 0.5)).sum() / total)
        x = float((toned.sum(0) * (np.arange(toned.shape[1]) + 0.5)).sum() / total)
    else:
        y, x = (top + bottom) / 2, (left + right) / 2
    half_width, half_height = spec.width / scale / 2, spec.height / scale / 2
    rim = int(np.ceil(max(half_width, half_height))) + 1
    image = Image.fromarray(np.pad(toned.astype(np.uint8), rim))
    box = (x + rim - half_width, y + rim - half_height, x + rim + half_width, y + rim + half_height)
    method = Image.Resampling.BOX if scale <= 1 else Image.Resampling.BILINEAR
    small = np.asarray(image.resize((spec.width, spec.height), method, box=box), np.float32)
    # Thin strokes have become grey when they were averaged down.
    full = small * (255 / max(85.0, float(small.max())))
    return np.clip(full, 0, 255).astype(np.uint8)[..., None]
