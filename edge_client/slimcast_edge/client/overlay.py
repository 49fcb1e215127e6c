"""What is drawn onto streamed frames by choice, for viewers that show nothing but the picture."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from slimcast_edge.artifact import ArtifactInfo
from slimcast_edge.preprocess import looked_at
from slimcast_edge.region import Box
from slimcast_edge.wire import Result

BOX = "box"
PARTS = ("label", "score", "fps", BOX)
_YELLOW, _BLACK = (255, 214, 0), (0, 0, 0)


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


def box_of(pixels: np.ndarray, info: ArtifactInfo, parts: Sequence[str]) -> Box | None:
    """Return the box to draw: what the model looks at, in shares of the frame's sides; None for none."""
    return looked_at(pixels, info.input) if BOX in parts else None


def draw(pixels: np.ndarray, text: str, box: Box | None = None) -> np.ndarray:
    """Return a copy of the frame, uint8 (H, W, 3) RGB or (H, W, 1) grey, with words on a band and a box."""
    if not text and box is None:
        return pixels
    from PIL import Image

    channels = pixels.shape[-1]
    picture: Any = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    if box is not None:
        _draw_box(picture, box)
    if text:
        _write(picture, text)
    drawn = np.asarray(picture)
    return drawn[..., None] if channels == 1 else drawn


def _draw_box(picture: Any, box: Box) -> None:
    """Draw a yellow line with a black one within: one of them shows on any ground."""
    from PIL import ImageDraw

    width, height = picture.size
    line = max(1, round(height / 160))
    left, top = round(box[0] * width), round(box[1] * height)
    right, bottom = max(left + 1, round(box[2] * width) - 1), max(top + 1, round(box[3] * height) - 1)
    colours = (_YELLOW, _BLACK) if picture.mode == "RGB" else (255, 0)
    draw_on = ImageDraw.Draw(picture)
    for colour in colours:
        draw_on.rectangle((left, top, right, bottom), outline=colour, width=line)
        left, top, right, bottom = left + line, top + line, right - line, bottom - line
        if right <= left or bottom <= top:
            return


def _write(picture: Any, text: str) -> None:
    from PIL import ImageDraw

    width, height = picture.size
    font = _font(max(10, height // 18))
    left, top, right, bottom = font.getbbox(text)
    margin = max(2, (bottom - top) // 3)
    band = min(height, round(bottom - top + 2 * margin))
    # Darkened, not painted over: what lies behind stays to be seen.
    picture.paste(picture.crop((0, height - band, width, height)).point(_darker), (0, height - band))
    # A text that is too long loses its end, not its beginning.
    x = margin - left if right - left + 2 * margin > width else (width - (right - left)) / 2 - left
    ImageDraw.Draw(picture).text((x, height - band + margin - top), text, fill="white", font=font)


def _darker(value: int) -> int:
    return value // 3


@functools.lru_cache(maxsize=8)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
