"""The weights of a quantized variant beside those that it was made of, layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slimcast.measure.layer_weights import layer_weights
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point, last_float


@dataclass(frozen=True, kw_only=True)
class LayerChange:
    """One layer before and after: its weights, and the root mean square of their change beside their own.

    Attributes:
        error: 0 where the layer stayed as it was.
        values: how many different values the weights have afterwards.
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    error: float
    values: int

    @property
    def stayed(self) -> bool:
        """Whether the layer is still in float."""
        return self.error == 0


def layer_changes(studio: Studio, points: Sequence[Point], point: Point) -> list[LayerChange]:
    """Return the layers of a variant with fewer bits, in order; none for a variant in float32.

    Layers that only one of both files has, or has in another shape, are left out.
    """
    source = last_float(points, point)
    if point.variant.numeric_kind == "float32" or source is None:
        return []
    if not point.variant.artifact or not source.variant.artifact:
        return []
    before, after = (
        layer_weights(studio.store.artifacts.local_path(sha).read_bytes())
        for sha in (source.variant.artifact, point.variant.artifact)
    )
    return [
        _change(name, before[name], weights)
        for name, weights in after.items()
        if name in before and before[name].shape == weights.shape
    ]


def _change(name: str, before: np.ndarray, after: np.ndarray) -> LayerChange:
    size = float(np.sqrt(np.mean(before.astype(np.float64) ** 2)))
    error = float(np.sqrt(np.mean((after.astype(np.float64) - before) ** 2))) / max(size, 1e-30)
    return LayerChange(name=name, before=before, after=after, error=error, values=len(np.unique(after)))
