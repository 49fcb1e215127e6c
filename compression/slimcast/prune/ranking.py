"""In which order channels go: one line of small moves, of which pruning takes as many as it needs.

A move narrows one group by `round_to` channels, the least important ones first. The scope decides how the
moves of different groups are put in line. Since each move is small, the end of the line can be found that
just meets a target, where a ratio for all groups would jump past it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, lcm

import torch
from torch import Tensor

from slimcast.errors import StepError
from slimcast.prune.groups import ChannelGroup

Widths = Mapping[str, int]
"""How many channels a group keeps, by its name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A group, its channels in the order in which they go, and the widths that it may have.

    Attributes:
        initial: channels before the first round.
        order: units, the least important first. A unit is one channel of each of the group's equal blocks.
        importance: of the units, in that order.
        widths: channels, falling; the first is the present one.
    """

    group: ChannelGroup
    initial: int
    order: Tensor
    importance: Tensor
    widths: tuple[int, ...]

    def removed(self, width: int) -> list[int]:
        """Return the channels that go when `width` are kept."""
        units = self.order[: (self.group.channels - width) // self.group.repeats]
        apart = self.group.channels // self.group.repeats
        return sorted(int(u) + block * apart for u in units for block in range(self.group.repeats))

    def mean_importance(self, wider: int, width: int) -> float:
        """Return the importance of what goes between two widths."""
        total, repeats = self.group.channels, self.group.repeats
        return float(self.importance[(total - wider) // repeats : (total - width) // repeats].mean())


@dataclass(frozen=True, kw_only=True)
class Move:
    """One group becomes narrower. Moves are taken by rising `place`."""

    group: str
    width: int
    place: tuple[float, float]


def candidate(
    group: ChannelGroup, score: Tensor, *, initial: int, round_to: int, max_ratio: float
) -> Candidate:
    """Put a group's channels in order.

    Args:
        score: importance of each channel, (channels,).
        round_to: widths become multiples of it (and of the group's equal blocks).
        max_ratio: share of the initial channels that may go at most.

    Raises:
        StepError: the score is not finite.
    """
    if not bool(torch.isfinite(score).all()):
        raise StepError(f"The importance of the channels of {group.name!r} is not finite: are its weights?")
    units = score.view(group.repeats, -1).mean(0)
    importance, order = torch.sort(units, stable=True)
    step = lcm(round_to, group.repeats)
    least = max(step, ceil(initial * (1 - max_ratio) - 1e-9))
    narrower = range((group.channels - 1) // step * step, least - 1, -step)
    return Candidate(
        group=group,
        initial=initial,
        order=order,
        importance=importance,
        widths=(group.channels, *narrower),
    )


def moves(choices: Sequence[Candidate], scope: str, shares: Mapping[str, float] | None = None) -> list[Move]:
    """Return all moves of all groups in the order in which they are taken.

    Args:
        scope: ``local`` narrows all groups by the same ratio; ``global`` takes the least important channels
            wherever they are; ``isomorphic`` does that among groups of the same structure, and narrows the
            structures by the same ratio (Fang et al., Isomorphic Pruning, ECCV 2024, arXiv:2407.04616).
        shares: how far groups go in comparison, by name: ``local`` narrows each in proportion to it, and
            leaves alone what has none. None: all the same.
    """
    found: list[Move] = []
    for choice in choices:
        share = 1.0 if shares is None else shares.get(choice.group.name, 0.0)
        if share == 0:
            continue
        for wider, width in zip(choice.widths, choice.widths[1:], strict=False):
            importance = choice.mean_importance(wider, width)
            # A width is due when the wanted ratio is nearer to it than to the one before.
            ratio = (choice.initial - (wider + width) / 2) / choice.initial / share
            place = (ratio if scope == "local" else importance, importance)
            found.append(Move(group=choice.group.name, width=width, place=place))
    if scope == "isomorphic":
        found = _by_structure(choices, found)
    return sorted(found, key=lambda move: move.place)


def _by_structure(choices: Sequence[Candidate], found: Sequence[Move]) -> list[Move]:
    pattern = {choice.group.name: choice.group.pattern for choice in choices}
    placed = []
    for structure in dict.fromkeys(pattern.values()):
        members = [choice for choice in choices if choice.group.pattern == structure]
        initial = sum(choice.initial for choice in members)
        width = {choice.group.name: choice.group.channels for choice in members}
        gone = initial - sum(width.values())
        own = [move for move in found if pattern[move.group] == structure]
        for move in sorted(own, key=lambda move: move.place):
            goes = width[move.group] - move.width
            placed.append(
                Move(group=move.group, width=move.width, place=((gone + goes / 2) / initial, move.place[1]))
            )
            gone, width[move.group] = gone + goes, move.width
    return placed


def widths_after(taken: Iterable[Move]) -> dict[str, int]:
    """Return the width of each group that some moves, taken in their order, have narrowed."""
    return {move.group: move.width for move in taken}


def nearest_width(choice: Candidate, ratio: float) -> int:
    """Return the width that comes closest to removing a share of the initial channels; the wider of two."""
    wanted = choice.initial * (1 - ratio)
    return min(choice.widths, key=lambda width: (abs(width - wanted), -width))
