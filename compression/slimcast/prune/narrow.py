"""What a group of channels costs at another width, without cutting anything: the arithmetic of NetAdapt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from slimcast.measure.layers import LayerShape

LayerCost = Callable[[str, LayerShape], float]
"""(name of a layer, its shape) -> what it costs, in the unit of the budget."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How a group changes one layer: so many `inputs` or `outputs` go with each of its channels."""

    layer: str
    side: Literal["in", "out"]
    per_channel: float


@dataclass(frozen=True, kw_only=True)
class Adjustable:
    """A group of channels as NetAdapt sees it.

    Attributes:
        name: of the group. channels: how many it has now.
        widths: that it may be narrowed to, falling.
        reaches: the layers that change with it.
    """

    name: str
    channels: int
    widths: tuple[int, ...]
    reaches: tuple[Reach, ...]

    def at(self, width: int, layers: Mapping[str, LayerShape]) -> dict[str, LayerShape]:
        """Return the shapes of the layers that change, as they would be."""
        changed: dict[str, LayerShape] = {}
        for reach in self.reaches:
            shape = changed.get(reach.layer, layers.get(reach.layer))
            if shape is not None:  # a layer that no image runs through costs nothing
                gone = round(reach.per_channel * (self.channels - width))
                changed[reach.layer] = _narrower(shape, reach.side, gone)
        return changed


def _narrower(shape: LayerShape, side: str, gone: int) -> LayerShape:
    if shape.groups > 1 and shape.groups == shape.inputs == shape.outputs:  # depthwise: all in one
        left = shape.outputs - gone
        return replace(shape, inputs=left, outputs=left, groups=left)
    if side == "out":
        return replace(shape, outputs=shape.outputs - gone)
    return replace(shape, inputs=shape.inputs - gone)


def total_cost(layers: Mapping[str, LayerShape], cost: LayerCost) -> float:
    """Return what all layers cost together."""
    return sum(cost(name, shape) for name, shape in layers.items())


def saving(group: Adjustable, width: int, layers: Mapping[str, LayerShape], cost: LayerCost) -> float:
    """Return how much cheaper the network is with a group at another width."""
    changed = group.at(width, layers)
    return sum(cost(name, layers[name]) - cost(name, shape) for name, shape in changed.items())


def largest_width(
    group: Adjustable, layers: Mapping[str, LayerShape], cost: LayerCost, *, needed: float
) -> int | None:
    """Return the largest width that saves at least `needed`; None where the smallest saves less.

    A narrower group is taken to save more. Each look at a width may mean that layers are measured, so the
    next one is guessed from the savings seen so far, in proportion to the channels; halving is the second
    choice.
    """
    whole = sum(cost(name, layers[name]) for name in group.at(group.channels, layers))
    wide, narrow = _Seen(group.channels, 0.0), _Seen(0, whole)  # what saves too little, and enough
    left = list(group.widths) if whole > needed else []  # between the two, falling
    looks = 0
    while left:
        halve = looks > 1 and looks % 2 == 1
        place = len(left) // 2 if halve else _first_below(left, _guess(wide, narrow, needed))
        seen = _Seen(left[place], saving(group, left[place], layers, cost))
        if seen.saved >= needed:
            narrow, left = seen, left[:place]
        else:
            wide, left = seen, left[place + 1 :]
        looks += 1
    return narrow.width or None


class _Seen(NamedTuple):
    width: int
    saved: float


def _guess(wide: _Seen, narrow: _Seen, needed: float) -> float:
    share = (needed - wide.saved) / max(narrow.saved - wide.saved, 1e-30)
    return wide.width - share * (wide.width - narrow.width)


def _first_below(falling: Sequence[int], bound: float) -> int:
    """Return the place of the largest width that is not above a bound, else the last place."""
    return next((place for place, width in enumerate(falling) if width <= bound), len(falling) - 1)


def least_cost(groups: Sequence[Adjustable], layers: Mapping[str, LayerShape], cost: LayerCost) -> float:
    """Return what the network costs with every group at its smallest width."""
    shapes = dict(layers)
    for group in groups:
        if group.widths:
            shapes |= group.at(group.widths[-1], shapes)
    return total_cost(shapes, cost)
