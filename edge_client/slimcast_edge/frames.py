"""JPEG frames that carry their result in a comment segment; to any viewer they are plain pictures."""

from collections.abc import Callable
from typing import Any

import numpy as np

from slimcast_edge.errors import WireError
from slimcast_edge.wire import MAX_FRAME_BYTES, Result, check_size, decode

_START = b"\xff\xd8"
_COMMENT = 0xFE
_START_OF_SCAN = 0xDA
_MARK = b"slimcast "
_MAX_SEGMENT = 65_533


def encode_jpeg(pixels: np.ndarray, quality: int = 80) -> bytes:
    """Encode a frame, uint8 (H, W, 3) RGB or (H, W, 1) grey; `quality` 1..95."""
    import simplejpeg  # here, since a client that nobody watches never needs it

    colour = "GRAY" if pixels.shape[-1] == 1 else "RGB"
    subsampling = "Gray" if colour == "GRAY" else "420"
    image = np.ascontiguousarray(pixels)
    data: bytes = simplejpeg.encode_jpeg(
        image, quality=quality, colorspace=colour, colorsubsampling=subsampling
    )
    return data


def embed(jpeg: bytes, result: Result) -> bytes:
    """Return the JPEG with the result in a comment segment right behind its start.

    Raises:
        WireError: these bytes are no JPEG, or the result is too long for a segment.

    """
    comment = _MARK + result.encode()
    if not jpeg.startswith(_START):
        raise WireError("A frame must be a JPEG.")
    if len(comment) > _MAX_SEGMENT:
        raise WireError(f"A result of {len(comment)} bytes does not fit into a JPEG comment.")
    segment = bytes((0xFF, _COMMENT)) + (len(comment) + 2).to_bytes(2, "big")
    return b"".join((_START, segment, comment, jpeg[2:]))


def extract(jpeg: bytes) -> tuple[Result, bytes]:
    """Take a frame apart: its result, and the JPEG as it came (a viewer skips the comment).

    Raises:
        WireError: too large, no JPEG, or a JPEG without a result.

    """
    check_size("frame", jpeg)
    return decode(Result, "result", _comment(jpeg)), jpeg


def _comment(jpeg: bytes) -> bytes:
    if not jpeg.startswith(_START):
        raise WireError("A frame must be a JPEG.")
    at = 2
    while at + 4 <= len(jpeg):
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at] != 0xFF or marker == _START_OF_SCAN or size < 2:
            break
        body = jpeg[at + 4 : at + 2 + size]
        if marker == _COMMENT and body.startswith(_MARK):
            return body[len(_MARK) :]
        at += 2 + size
    raise WireError("A frame carries no result in its comment segment.")


def encode_frame(
    pixels: np.ndarray,
    result: Result,
    *,
    quality: int,
    width: int,
    draw: Callable[[np.ndarray], np.ndarray] | None = None,
) -> bytes:
    """Scale a frame down to `width` pixels at most, draw on it, encode it and embed its result.

    A frame above the wire's limit is encoded again at half the quality, down to 10. `draw` takes and returns
    pixels (H, W, C).

    Raises:
        WireError: even that is too large.

    """
    small = _at_most(pixels, width)
    if draw is not None:
        small = draw(small)
    while True:
        frame = embed(encode_jpeg(small, quality), result)
        if len(frame) <= MAX_FRAME_BYTES or quality <= 10:
            check_size("frame", frame)
            return frame
        quality = max(10, quality // 2)


def _at_most(pixels: np.ndarray, width: int) -> np.ndarray:
    height, own_width, channels = pixels.shape
    if own_width <= width:
        return pixels
    from PIL import Image

    size = (width, max(1, round(height * width / own_width)))
    picture: Any = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    return small[..., None] if channels == 1 else small
