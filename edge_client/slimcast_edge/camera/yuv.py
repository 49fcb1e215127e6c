"""Colour of a planar YUV 4:2:0 picture (I420, full range as libcamera gives it)."""

import numpy as np


def yuv420_to_rgb(planes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return uint8 (height, width, 3).

    Args:
        planes: uint8 (height * 3 / 2, stride): luma, then U and V at half the size, rows padded to it.
        width: of the picture, even, pixels; at most the stride.
        height: of the picture, even, pixels.

    """
    stride = planes.shape[1]
    luma = planes[:height, :width].astype(np.int32)
    chroma = planes[height : height * 3 // 2].reshape(2, height // 2, stride // 2)[:, :, : width // 2]
    u, v = (plane.repeat(2, axis=0).repeat(2, axis=1).astype(np.int32) - 128 for plane in chroma)
    # ITU-R 601 in 1/65536.
    red = luma + ((91881 * v) >> 16)
    green = luma - ((22554 * u + 46802 * v) >> 16)
    blue = luma + ((116130 * u) >> 16)
    return np.stack((red, green, blue), axis=-1).clip(0, 255).astype(np.uint8)
