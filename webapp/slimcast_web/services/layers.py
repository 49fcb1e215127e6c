"""The weights of a quantized variant beside those that it was made of, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slimcast.measure.layer_weights import float_layers, layer_weights
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point, last_float


@dataclass(frozen=True, kw_only=True)
class LayerChange:
    """One layer before and after: its weights, and the root mean square of their change beside their own.

    Attributes:
        values: how many different values the weights have afterwards.
        stayed: whether the weights are still in float32.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    error: float
    values: int
    stayed: bool


def layer_changes(studio: Studio, points: Sequence[Point], point: Point) -> list[LayerChange]:
    """Return the layers of a variant with fewer bits, in order; none for a variant in float32.

    Layers that only one of both files has, or has in another shape, are left out.
    """
    source = last_float(points, point)
    if point.variant.numeric_kind == "float32" or source is None:
        return []
    if not point.variant.artifact or not source.variant.artifact:
        return []
    old, new = (
        studio.store.artifacts.local_path(sha).read_bytes()
        for sha in (source.variant.artifact, point.variant.artifact)
    )
    before, after, stayed = layer_weights(old), layer_weights(new), float_layers(new)
    return [
        _change(name, before[name], weights, stayed=name in stayed)
        for name, weights in after.items()
        if name in before and before[name].shape == weights.shape
    ]


def _change(name: str, before: np.ndarray, after: np.ndarray, *, stayed: bool) -> LayerChange:
    size = float(np.sqrt(np.mean(before.astype(np.float64) ** 2)))
    error = float(np.sqrt(np.mean((after.astype(np.float64) - before) ** 2))) / max(size, 1e-30)
    values = len(np.unique(after))
    return LayerChange(name=name, before=before, after=after, error=error, values=values, stayed=stayed)
