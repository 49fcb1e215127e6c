"""Which layer gets how many bits: the best trade of bytes for error, one small move after the other.

Shoham and Gersho, Efficient bit allocation for an arbitrary set of quantizers, IEEE Transactions on
Acoustics, Speech, and Signal Processing 36(9), 1988: on the lower convex hull of each layer's choices, the
moves of all layers in the order of error per byte saved pass through the best allocations there are for
their size. What a budget leaves unused between two of them is then spent on what lessens the error most.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One width that a layer can have: what it takes, bytes, and its share of the square error."""

    layer: str
    width: str
    size_bytes: int
    cost: float


Allocation = dict[str, Choice]
"""One choice for each layer."""


def allocations(choices: Iterable[Choice]) -> list[Allocation]:
    """Return the allocations from the most exact to the smallest, each one move from the one before.

    The first has for each layer the choice with the least error (of several the smallest), the last the
    smallest there is.
    """
    by_layer: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices:
        by_layer[choice.layer].append(choice)
    hulls = {layer: _hull(found) for layer, found in by_layer.items()}
    moves = [(_slope(before, after), after) for hull in hulls.values() for before, after in pairwise(hull)]
    now: Allocation = {layer: hull[0] for layer, hull in hulls.items()}
    path = [now]
    for _, choice in sorted(moves, key=lambda move: move[0]):  # stable: of one layer they stay in order
        now = now | {choice.layer: choice}
        path.append(now)
    return path


def filled(allocation: Allocation, choices: Iterable[Choice], spare_bytes: float) -> Allocation:
    """Return the allocation with more bits where they fit into spare bytes, the best use of a byte first."""
    now = dict(allocation)
    better = list(choices)
    while True:
        fitting = [
            choice
            for choice in better
            if 0 < choice.size_bytes - now[choice.layer].size_bytes <= spare_bytes
            and choice.cost < now[choice.layer].cost
        ]
        if not fitting:
            return now
        best = max(fitting, key=lambda choice: _slope(choice, now[choice.layer]))
        spare_bytes -= best.size_bytes - now[best.layer].size_bytes
        now[best.layer] = best


def size_of(allocation: Allocation) -> int:
    """Return the bytes of all layers together."""
    return sum(choice.size_bytes for choice in allocation.values())


def _slope(before: Choice, after: Choice) -> float:
    return (after.cost - before.cost) / (before.size_bytes - after.size_bytes)


def _hull(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices that are best for some price of a byte, the largest first."""
    hull: list[Choice] = []
    for choice in sorted(choices, key=lambda one: (-one.size_bytes, one.cost)):
        if hull and choice.size_bytes == hull[-1].size_bytes:
            continue
        # A smaller choice that loses no more takes the place of a larger one.
        while hull and choice.cost <= hull[-1].cost:
            hull.pop()
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) >= _slope(hull[-1], choice):
            hull.pop()
        hull.append(choice)
    return hull
