"""What structured pruning is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from slimcast.prune.search import Goal


@dataclass(frozen=True, kw_only=True)
class PrunePlan:
    """How to prune.

    Attributes:
        goal: what must remain; None: what `ratios` leave.
        criterion: name in the catalog. scope: ``local``, ``global`` or ``isomorphic``, see `ranking.moves`.
        ratios: share of the channels to remove, 0..1, by name pattern; the search leaves these layers alone.
        shares: how far groups go in comparison, by name, see `ranking.moves`; None: all the same.
        keep: name patterns of layers that stay as they are.
        max_ratio: share of a layer's channels that may go at most.
        round_to: channel counts become multiples of this.
        rounds, schedule: cut in so many parts; ``geometric`` by the same factor each, ``linear`` by the same
            amount, ``cubic`` most at first (Zhu and Gupta 2017, arXiv:1710.01878).
        seed: for criteria that are random.
    """

    goal: Goal | None
    criterion: str = "l2"
    scope: str = "local"
    ratios: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] | None = None
    keep: tuple[str, ...] = ()
    max_ratio: float = 0.95
    round_to: int = 8
    rounds: int = 1
    schedule: str = "geometric"
    seed: int = 0
