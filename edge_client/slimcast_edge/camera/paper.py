"""Draws a light-on-dark image as ink on a sheet of paper that somebody holds before a camera."""

import numpy as np
from PIL import Image

_MOST_TURN = 10.0  # degrees
_SIZES = (0.3, 0.65)  # of the frame's shorter side, rim of the image included
_NOISE = 3.0  # standard deviation of a pixel


def draw_on_paper(picture: np.ndarray, width: int, height: int, seed: int) -> np.ndarray:
    """Return a frame, uint8 (height, width, 3), that shows a picture, uint8 (h, w, 3), light on dark, in ink.

    It is turned by up to 10 degrees, off centre, of any size between 30 % and 65 % of the shorter side, in
    uneven light on a tinted sheet, with a sensor's noise: all of it chosen by `seed`.
    """
    random = np.random.default_rng(seed)
    side = round(min(width, height) * random.uniform(*_SIZES))
    grey = Image.fromarray(picture).convert("L").resize((side, side), Image.Resampling.BICUBIC)
    turned = grey.rotate(random.uniform(-_MOST_TURN, _MOST_TURN), Image.Resampling.BICUBIC, expand=True)
    cover = np.zeros((height, width, 1), np.float32)
    top, left = (
        _place(random, whole, part) for whole, part in ((height, turned.height), (width, turned.width))
    )
    drawn = np.asarray(turned, np.float32)[: height - top, : width - left, None]
    cover[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn / 255
    paper = random.uniform(190, 245) * random.uniform(0.93, 1.0, 3)
    ink = random.uniform(0.1, 0.45, 3)  # share of the light that it throws back
    lit = paper * (1 - cover * (1 - ink)) * _light(random, width, height)
    noisy = lit + random.normal(0, _NOISE, (height, width, 1))
    pixels: np.ndarray = noisy.clip(0, 255).astype(np.uint8)
    return pixels


def _place(random: "np.random.Generator", whole: int, part: int) -> int:
    """Return where a part begins: anywhere in the middle two thirds of what is free."""
    free = max(0, whole - part)
    return int(free * random.uniform(1 / 6, 5 / 6))


def _light(random: "np.random.Generator", width: int, height: int) -> np.ndarray:
    """Return the light, (height, width, 1): it falls off to one side, to between half and all of it."""
    angle, darkest = random.uniform(0, 2 * np.pi), random.uniform(0.5, 1.0)
    down, across = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    slope = (np.cos(angle) * across + np.sin(angle) * down) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    light: np.ndarray = darkest + (1 - darkest) * (slope + 1) / 2
    return light[..., None].astype(np.float32)
