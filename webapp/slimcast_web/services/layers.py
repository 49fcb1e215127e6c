"""Variants layer by layer: figures of each, and weights beside those that they were made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from slimcast.measure.layer_times import LayerTimes
from slimcast.measure.layer_weights import LayerFacts, float_layers, layer_facts, layer_weights
from slimcast.store.artifacts import ArtifactFiles
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point, last_float

_FILES_KEPT = 64
LAYER_MEASURES = {
    "channels": "Output channels",
    "sparsity": "Weights that are zero (%)",
    "bits": "Bits of a weight in the file",
    "weights": "Weights",
    "time": "Time on this machine (ms)",
}


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


def layer_bars(studio: Studio, points: Sequence[Point], measure: str) -> dict[str, dict[str, float]]:
    """Return a figure of each layer, by variant's key and layer's name.

    Args:
        points: variants; those without a file are left out, and for "time" those that are not yet timed.
        measure: a key of `LAYER_MEASURES`. "time" also has what runs between layers, by operator in brackets.

    Raises:
        StoreError: a file is not in the store any more.
    """
    if measure == "time":
        return {key: _times(found) for key, found in timed(studio, points).items()}
    files = {point.key: point.variant.artifact for point in points}
    return {
        key: {facts.name: _layer_figure(facts, measure) for facts in _facts(studio.store.artifacts, sha256)}
        for key, sha256 in files.items()
        if sha256
    }


def timed(studio: Studio, points: Sequence[Point]) -> dict[str, LayerTimes]:
    """Return the times of layers of those variants that were timed, by the variant's key."""
    found = {point.key: studio.layers.of(point.variant.artifact or "") for point in points}
    return {key: times for key, times in found.items() if isinstance(times, LayerTimes)}


def _times(found: LayerTimes) -> dict[str, float]:
    return found.layers | {f"({operator})": ms for operator, ms in found.others.items()}


def _layer_figure(facts: LayerFacts, measure: str) -> float:
    figures = {
        "channels": facts.outputs,
        "sparsity": 100 * facts.sparsity,
        "bits": facts.bits,
        "weights": facts.weights,
    }
    return float(figures[measure])


@lru_cache(maxsize=_FILES_KEPT)
def _facts(artifacts: ArtifactFiles, sha256: str) -> tuple[LayerFacts, ...]:
    return tuple(layer_facts(artifacts.local_path(sha256).read_bytes()))


def _change(name: str, before: np.ndarray, after: np.ndarray, *, stayed: bool) -> LayerChange:
    size = float(np.sqrt(np.mean(before.astype(np.float64) ** 2)))
    error = float(np.sqrt(np.mean((after.astype(np.float64) - before) ** 2))) / max(size, 1e-30)
    values = len(np.unique(after))
    return LayerChange(name=name, before=before, after=after, error=error, values=values, stayed=stayed)
