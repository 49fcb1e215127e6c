"""What is drawn onto streamed frames by choice, for viewers that show nothing but the picture."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from slimcast_edge.wire import Result

PARTS = ("label", "score", "fps")


def caption(result: Result, parts: Sequence[str], fps: float) -> str:
    """Return the words to draw; empty where there are none. `fps`: frames classified a second."""
    words = []
    best = result.predictions[0] if result.predictions else None
    if best is not None and "label" in parts:
        words.append(best.label)
    if best is not None and "score" in parts:
        words.append(f"{best.score * 100:.0f} %")
    if "fps" in parts:
        words.append(f"{fps:.0f} fps")
    return "   ".join(words)


def draw(pixels: np.ndarray, text: str) -> np.ndarray:
    """Return a copy of the frame, uint8 (H, W, 3) RGB or (H, W, 1) grey, with the words on a dark band."""
    if not text:
        return pixels
    from PIL import Image, ImageDraw

    height, width, channels = pixels.shape
    picture: Any = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    font = _font(max(10, height // 18))
    left, top, right, bottom = font.getbbox(text)
    margin = max(2, (bottom - top) // 3)
    band = min(height, round(bottom - top + 2 * margin))
    # Darkened, not painted over: what lies behind stays to be seen.
    picture.paste(picture.crop((0, height - band, width, height)).point(_darker), (0, height - band))
    # A text that is too long loses its end, not its beginning.
    x = margin - left if right - left + 2 * margin > width else (width - (right - left)) / 2 - left
    ImageDraw.Draw(picture).text((x, height - band + margin - top), text, fill="white", font=font)
    drawn = np.asarray(picture)
    return drawn[..., None] if channels == 1 else drawn


def _darker(value: int) -> int:
    return value // 3


@functools.lru_cache(maxsize=8)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
