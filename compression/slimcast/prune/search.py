"""How far along a line of moves a goal is met, with few trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from slimcast.errors import StepError
from slimcast.measure.cost import Cost
from slimcast.prune.ranking import Move, Widths

_CLOSE_ENOUGH = 0.98  # of the budget
_REFINEMENTS = 32  # trials


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What must remain.

    Attributes:
        cost: what is counted; None: the channels of all groups that may be pruned, each group once.
        value: below 1 the share that remains, else an absolute budget.
    """

    cost: Cost | None
    value: float


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A network that some moves would lead to.

    Attributes:
        widths: of all its groups.
        build: the network itself. shapes: the network without values, which takes no memory.
    """

    widths: Widths
    build: Callable[[], nn.Module]
    shapes: Callable[[], nn.Module]


class Budget:
    """A goal for one network: what it costs before, and what it may cost after each round."""

    def __init__(self, goal: Goal, model: nn.Module, initial: Widths) -> None:
        self._cost = goal.cost
        narrowed = goal.cost.narrowed if goal.cost is not None else None
        self._counted = narrowed(model) if narrowed is not None else None
        self.before = goal.cost.of(model) if goal.cost is not None else sum(initial.values())
        self.final = goal.value * self.before if goal.value < 1 else goal.value
        if self.before <= self.final:
            raise StepError(
                f"The network takes {self.show(self.before)}, which is within the target of "
                f"{self.show(self.final)}: there is nothing to prune. Lower the target, or leave the step "
                f"out."
            )

    @property
    def exact(self) -> bool:
        """Whether the same network always costs the same."""
        return self._cost is None or self._cost.exact

    def after(self, done: float, schedule: str) -> float:
        """Return what may be left when a share `done` of the rounds is over, 0 < done <= 1."""
        if done >= 1:
            return self.final
        if schedule == "geometric":
            return float(self.before * (self.final / self.before) ** done)
        gone = done if schedule == "linear" else 1 - (1 - done) ** 3
        return self.before + (self.final - self.before) * gone

    def of(self, trial: Trial) -> float:
        """Return what a trial costs; no more of it is built than that takes."""
        if self._cost is None:
            return sum(trial.widths.values())
        if self._counted is not None:
            return self._counted(trial.shapes())
        return self._cost.of(trial.build())

    def holds(self, value: float, network: nn.Module) -> bool:
        """Return whether a trial cost what its network does; where not, shapes are not trusted again."""
        if self._cost is None or self._counted is None or self._cost.of(network) == value:
            return True
        self._counted = None
        return False

    def show(self, value: float) -> str:
        """Return a cost with its unit."""
        return self._cost.show(value) if self._cost is not None else f"{value:,.0f} channels"


def least_moves(
    line: Sequence[Move], cost: Callable[[Sequence[Move]], float], budget: float, *, refine: bool
) -> tuple[tuple[Move, ...], float]:
    """Return the moves to take so that the cost is within the budget, and that cost.

    That is the shortest beginning of the line that does it, found by halving. Where its last moves were large
    ones and the cost falls well below the budget, `refine` takes back moves that were not needed, from the
    end of the line. Where even the whole line is too dear, that is what comes back.
    """
    taken, value = _shortest(line, cost, budget)
    if not refine or value > budget:
        return taken, value
    trials = 0
    for move in reversed(taken):
        if value >= budget * _CLOSE_ENOUGH or trials == _REFINEMENTS:
            break
        group = [one for one in taken if one.group == move.group]
        if group[-1] is not move:
            continue  # only the last move of a group can be taken back
        without = tuple(one for one in taken if one is not move)
        trials += 1
        if (other := cost(without)) <= budget:
            taken, value = without, other
    return taken, value


def _shortest(
    line: Sequence[Move], cost: Callable[[Sequence[Move]], float], budget: float
) -> tuple[tuple[Move, ...], float]:
    """Take the cost to fall along the line; where a measured one does not quite, it is valid still."""
    found = cost(line)
    if found > budget:
        return tuple(line), found
    if (first := cost(())) <= budget:
        return (), first
    below, within = 0, len(line)
    while within - below > 1:
        middle = (below + within) // 2
        value = cost(line[:middle])
        if value <= budget:
            within, found = middle, value
        else:
            below = middle
    return tuple(line[:within]), found
