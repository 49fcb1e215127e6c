"""How a camera looks at the world: turned, mirrored, a part of it. Nothing is copied."""

from dataclasses import replace

import numpy as np

from slimcast_edge.camera.port import Frame
from slimcast_edge.region import cut
from slimcast_edge.wire import CameraView


def seen(frame: Frame, view: CameraView) -> Frame:
    """Return the frame as the view shows it: turned clockwise, then mirrored, then cut."""
    if not (view.rotation or view.mirror or view.region):
        return frame
    small = None if frame.small is None else _seen(frame.small, view)
    return replace(frame, pixels=_seen(frame.pixels, view), small=small)


def _seen(pixels: np.ndarray, view: CameraView) -> np.ndarray:
    turned = np.rot90(pixels, -view.rotation // 90)
    return cut(turned[:, ::-1] if view.mirror else turned, view.region)
