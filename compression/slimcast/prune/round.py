"""One round of pruning: the groups of a network, put in line, of which some moves are taken."""

from collections.abc import Sequence
from functools import cached_property

from torch import Tensor, nn

from slimcast.models.layers import by_pattern
from slimcast.prune.evidence import Scores
from slimcast.prune.groups import ChannelGroup, remove, without_values
from slimcast.prune.plan import PrunePlan
from slimcast.prune.ranking import Candidate, Move, Widths, candidate, moves, nearest_width, widths_after
from slimcast.prune.search import Trial
from slimcast.prune.verify import check_cut
from slimcast.reporting import Reporter


class Round:
    """A network at the beginning of a round, and what can be cut from it.

    Args:
        groups: all that may be pruned. scores: of their channels; a group without one stays as it is.
        initial: widths before the first round, by the group's name.
        done: share of the rounds that is over when this one is.
    """

    def __init__(
        self,
        plan: PrunePlan,
        model: nn.Module,
        example: Tensor,
        *,
        groups: Sequence[ChannelGroup],
        scores: Scores,
        initial: Widths,
        done: float,
    ) -> None:
        self._plan, self._model, self._example, self._groups = plan, model, example, groups
        self._choices = [
            candidate(
                group,
                scores[group.name],
                initial=initial[group.name],
                round_to=plan.round_to,
                max_ratio=plan.max_ratio,
            )
            for group in groups
            if group.name in scores
        ]
        self._done = done
        self._ratios = {choice.group.name: self._ratio(choice) for choice in self._choices}

    def _ratio(self, choice: Candidate) -> float | None:
        """Return what the recipe says for a group: the least of what it says for its layers."""
        found = [by_pattern(layer, self._plan.ratios) for layer in choice.group.layers]
        return min((ratio for ratio in found if ratio is not None), default=None)

    @cached_property
    def _fixed(self) -> dict[str, int]:
        """Widths of the groups that have a ratio of their own."""
        return {
            choice.group.name: nearest_width(choice, 1 - (1 - ratio) ** self._done)
            for choice in self._choices
            if (ratio := self._ratios[choice.group.name]) is not None
        }

    @cached_property
    def line(self) -> tuple[Move, ...]:
        """All moves that can be taken, in their order."""
        free = [choice for choice in self._choices if choice.group.name not in self._fixed]
        return tuple(moves(free, self._plan.scope, self._plan.shares))

    def widths(self, taken: Sequence[Move]) -> dict[str, int]:
        """Return the width of every group once some moves are taken."""
        now = {group.name: group.channels for group in self._groups}
        return now | self._fixed | widths_after(taken)

    def build(self, taken: Sequence[Move]) -> nn.Module:
        """Return the network once some moves are taken; nothing is checked."""
        return remove(self._model, self._groups, self._removed(taken))

    def trial(self, taken: Sequence[Move]) -> Trial:
        """Return what some moves lead to, for its cost to be counted."""
        return Trial(
            widths=self.widths(taken),
            build=lambda: self.build(taken),
            shapes=lambda: remove(self._shapes, self._groups, self._removed(taken)),
        )

    @cached_property
    def _shapes(self) -> nn.Module:
        return without_values(self._model)

    def checked(self, taken: Sequence[Move]) -> nn.Module:
        """Return the same, checked.

        Raises:
            StepError: Torch-Pruning got a group wrong.
        """
        pruned, removed = self.build(taken), self._removed(taken)
        check_cut(self._model, pruned, self._example, groups=self._groups, removed=removed)
        return pruned

    def _removed(self, taken: Sequence[Move]) -> dict[str, list[int]]:
        widths = self.widths(taken)
        return {choice.group.name: choice.removed(widths[choice.group.name]) for choice in self._choices}

    def say_ratios(self, reporter: Reporter) -> None:
        """Tell where a layer's ratio could not be kept to."""
        for choice in self._choices:
            ratio, name = self._ratios[choice.group.name], choice.group.name
            wanted = choice.initial * (1 - ratio) if ratio is not None else 0.0
            if ratio is not None and abs(self._fixed[name] - wanted) > self._plan.round_to / 2:
                reporter.log(
                    f"{name}: {wanted:.0f} of {choice.initial} channels were asked for, {self._fixed[name]} "
                    f"remain (round_to {self._plan.round_to}, max_ratio {self._plan.max_ratio:g})",
                    "warning",
                )
