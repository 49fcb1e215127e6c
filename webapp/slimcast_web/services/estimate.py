"""What a recipe will come to, as far as that can be said before it has run."""

from dataclasses import dataclass, replace

from slimcast.catalog import DATA, MODELS
from slimcast.catalog.network_costs import known_cost
from slimcast.recipe import FactorizeStep, LowBitQuantize, NetAdaptStep, PruneStep, QuantizeStep, Recipe
from slimcast.recipe.quanto import WeightOnlyQuantize

_FLOAT_BYTES = 4.0
_BYTES_BY_METHOD = {"static": 1.0, "qat": 1.0, "float16": 2.0}
_BYTES_BY_NUMBERS = {"int8": 1.0, "int4": 0.5, "int2": 0.25, "float8": 1.0, "float8_e5m2": 1.0}
_UNKNOWN_LABELS = 10


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a network costs at one moment of a recipe; None where nobody can say yet.

    Attributes:
        macs: multiply-accumulates of one image. params: weights and biases. size_bytes: of the artifact's
            weights; its labels, golden samples and graph come to some kilobytes more.
    """

    macs: float | None
    params: float | None
    size_bytes: float | None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A recipe's costs before and after. `exact`: whether `before` was counted, not scaled or assumed."""

    before: Footprint
    after: Footprint
    exact: bool


def estimate(recipe: Recipe) -> Estimate | None:
    """Return what a recipe comes to; None for networks whose costs are not in the catalog's table."""
    data = DATA[recipe.data.name]
    side = recipe.data.image_size or max(data.image_size, MODELS[recipe.model.name].image_size)
    known = known_cost(
        recipe.model.name,
        image_size=side,
        channels=recipe.data.channels or data.channels,
        classes=data.classes or _UNKNOWN_LABELS,
    )
    if known is None:
        return None
    before = Footprint(macs=known.macs, params=known.params, size_bytes=known.params * _FLOAT_BYTES)
    after = before
    for step in recipe.steps:
        after = _after(step, after)
    return Estimate(before=before, after=after, exact=known.exact and data.classes > 0)


def _after(step: object, now: Footprint) -> Footprint:
    if isinstance(step, PruneStep | NetAdaptStep):
        return _cut(step, now)
    if isinstance(step, FactorizeStep):
        return Footprint(macs=None, params=None, size_bytes=None)  # the weights decide the ranks
    if isinstance(step, QuantizeStep):
        width = _bytes_of_weight(step)
        return replace(now, size_bytes=now.params * width if now.params and width else None)
    return now


def _cut(step: PruneStep | NetAdaptStep, now: Footprint) -> Footprint:
    """Removing a share of all channels takes arithmetic and weights down alike, by the share's square."""
    target = step.target
    if target is None:
        return Footprint(macs=None, params=None, size_bytes=None)
    kept = _share(target.measure, target.value, now)
    if kept is None:
        return Footprint(macs=None, params=None, size_bytes=None)
    return Footprint(
        macs=now.macs * kept if now.macs else None,
        params=now.params * kept if now.params else None,
        size_bytes=now.size_bytes * kept if now.size_bytes else None,
    )


def _share(measure: str, value: float, now: Footprint) -> float | None:
    if measure == "channels":
        return value * value
    if value < 1:
        return value
    cost = {"macs": now.macs, "params": now.params, "bytes": now.size_bytes}.get(measure)
    return min(1.0, value / cost) if cost else None


def _bytes_of_weight(step: QuantizeStep) -> float | None:
    if isinstance(step, WeightOnlyQuantize):
        return _BYTES_BY_NUMBERS[step.weights]
    if isinstance(step, LowBitQuantize):
        return step.weight_bits / 8
    return _BYTES_BY_METHOD.get(step.method)
