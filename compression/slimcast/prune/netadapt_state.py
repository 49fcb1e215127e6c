"""Where an adaptation stands: what NetAdapt has done so far, and what it takes networks to cost."""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

M = TypeVar("M")

_CLOSE_ENOUGH = 0.02  # of the budget, above it: what a measurement is off by anyway


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a network costs by the table: ``scale * (rest + all layers)``.

    `rest` is what the whole costs beyond its layers (pooling, additions, the call); it is taken to stay.
    """

    rest: float
    scale: float

    @classmethod
    def anchored(cls, measured: float, layers: float) -> "Prediction":
        """Return the one that is right for a network that was measured."""
        rest = max(0.0, measured - layers)
        return cls(rest=rest, scale=measured / (rest + layers))

    def of(self, layers: float) -> float:
        """Return the cost of a network whose layers cost `layers`."""
        return self.scale * (self.rest + layers)

    def corrected(self, predicted: float, believed: float) -> "Prediction":
        """Return the one that says `believed` where this one says `predicted`."""
        return replace(self, scale=self.scale * believed / predicted)


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """A line of the history; 0 is the network before it all.

    Attributes:
        group: that was narrowed, "" in line 0. width: its channels since.
        accuracy: on the images for choices, after the short training.
        predicted: cost by the table alone, since line 0. measured: of the whole network.
        proposals: how many groups had one. widths: channels of all groups, in the order of the network.
    """

    number: int
    group: str
    width: int
    accuracy: float
    predicted: float
    measured: float
    proposals: int
    widths: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class State(Generic[M]):
    """Where an adaptation stands; with it, it can go on in another process.

    Attributes:
        cost: what the network is taken to cost now. table: prediction by the table alone. corrected: the
            same, corrected by what was measured on the way.
    """

    model: M
    cost: float
    table: Prediction
    corrected: Prediction
    history: tuple[Iteration, ...]

    @property
    def start(self) -> float:
        """The cost before it all."""
        return self.history[0].measured


def within(cost: float, budget: float) -> bool:
    """Return whether a budget is met, but for what a measurement is off by anyway (2 %)."""
    return cost <= budget * (1 + _CLOSE_ENOUGH)
