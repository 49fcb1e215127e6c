"""NetAdapt: cut towards a budget in small steps, of which each is chosen by the accuracy that it keeps.

Yang et al., NetAdapt: Platform-Aware Neural Network Adaptation for Mobile Applications, ECCV 2018,
arXiv:1804.03230. In each iteration the network must become cheaper by a step. Every group of channels
proposes the largest width that achieves this, each proposal is trained for a moment and judged, and the most
accurate one is the next network.

Nothing here knows torch, data or clocks: `Tools` does the cutting, training and measuring.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from slimcast.errors import StepError
from slimcast.measure.layers import LayerShape
from slimcast.prune.narrow import Adjustable, largest_width, least_cost, total_cost
from slimcast.prune.netadapt_state import Iteration, Prediction, State, within
from slimcast.reporting import QuietReporter, Reporter

M = TypeVar("M")

_SMALLER_STEPS = 6
"""How often the step is halved before giving up: where widths are few, no group may make it whole."""


class Tools(Protocol[M]):
    """What NetAdapt needs done to a network of type `M`."""

    @property
    def exact(self) -> bool:
        """Whether costs are counted. Measured ones are disturbed: nothing is refused by them alone."""

    def layers(self, model: M) -> Mapping[str, LayerShape]:
        """Return the layers that cost something, in order."""

    def groups(self, model: M) -> Sequence[Adjustable]:
        """Return what can be narrowed."""

    def cost(self, name: str, layer: LayerShape) -> float:
        """Return what a layer costs, from the table."""

    def measure(self, model: M) -> float:
        """Return what the whole network costs, without the table."""

    def narrow(self, model: M, group: Adjustable, width: int) -> M:
        """Return a copy with a group at another width."""

    def train(self, model: M, iteration: int, proposal: int, reporter: Reporter) -> None:
        """Train in place for a moment."""

    def accuracy(self, model: M) -> float:
        """Return the accuracy by which proposals are chosen, 0..1."""

    def show(self, value: float) -> str:
        """Return a cost with its unit."""


@dataclass(frozen=True, kw_only=True)
class AdaptPlan:
    """How far to go, and in which steps.

    Attributes:
        budget: what the network may cost, in the unit of `Tools.measure`.
        first_step: what the first iteration must save, as a share of the network's cost before it all.
        decay: each step is so many times the one before.
        iterations: how many there may be.
    """

    budget: float
    first_step: float = 0.03
    decay: float = 0.98
    iterations: int = 200


@dataclass(frozen=True, kw_only=True)
class _Proposal(Generic[M]):
    model: M
    group: Adjustable
    width: int
    accuracy: float
    layers: float
    predicted: float

    @property
    def rank(self) -> tuple[float, float]:
        """The most accurate first; of equal ones, the cheapest."""
        return self.accuracy, -self.predicted


class Adaptation(Generic[M]):
    """One run of NetAdapt. Call `begin`, then `advance` until it returns None."""

    def __init__(self, tools: Tools[M], plan: AdaptPlan, reporter: Reporter) -> None:
        self._tools, self._plan, self._reporter = tools, plan, reporter

    def begin(self, model: M, measured: float) -> State[M]:
        """See whether the budget can be met at all.

        Args:
            model: is left as it is.
            measured: what it costs, see `Tools.measure`.

        Raises:
            StepError: there is nothing to narrow, or, where costs are counted, too little to meet the budget.
        """
        tools = self._tools
        layers, groups = tools.layers(model), tools.groups(model)
        if not any(group.widths for group in groups):
            raise StepError("NetAdapt finds no channels to remove. Lower round_to, or keep fewer layers.")
        now, least = total_cost(layers, tools.cost), least_cost(groups, layers, tools.cost)
        prediction = Prediction.anchored(measured, now)
        self._check_reachable(measured, surely=measured * least / now, likely=prediction.of(least))
        first = Iteration(
            number=0,
            group="",
            width=0,
            accuracy=tools.accuracy(model),
            predicted=measured,
            measured=measured,
            proposals=0,
            widths=tuple(group.channels for group in groups),
        )
        return State(model=model, cost=measured, table=prediction, corrected=prediction, history=(first,))

    def _check_reachable(self, measured: float, *, surely: float, likely: float) -> None:
        """Refuse a budget below what surely remains; warn where what is no layer may stand in the way.

        A sum of measured times proves nothing: they are disturbed, and the narrowest layer is not always the
        fastest. Such a search goes on to the best that it finds.
        """
        show, budget = self._tools.show, self._plan.budget
        left = f"of {show(measured)} remain even with every layer at its narrowest"
        if self._tools.exact and not within(surely, budget):
            raise StepError(
                f"NetAdapt cannot reach a budget of {show(budget)}: about {show(surely)} {left}. "
                "Raise the target, lower round_to, or keep fewer layers."
            )
        if not within(likely, budget):
            self._reporter.log(
                f"The budget of {show(budget)} may be out of reach: up to {show(likely)} {left}", "warning"
            )

    def done(self, state: State[M]) -> bool:
        """Return whether the network was found within the budget."""
        return within(state.history[-1].measured, self._plan.budget)

    def advance(self, state: State[M]) -> State[M] | None:
        """Do one iteration; None when the budget is met, or nothing more can be cut.

        Raises:
            Cancelled: somebody cancelled the run.
        """
        number = state.history[-1].number + 1
        if self.done(state) or number > self._plan.iterations:
            return None
        layers, groups = self._tools.layers(state.model), self._tools.groups(state.model)
        choices = self._choices(state, number, layers, groups)
        best = self._best(state, number, choices)
        if best is None:
            return None
        widths = tuple(best.width if group is best.group else group.channels for group in groups)
        return self._after(state, best, proposals=len(choices), widths=widths)

    def _after(
        self, state: State[M], best: _Proposal[M], *, proposals: int, widths: tuple[int, ...]
    ) -> State[M]:
        measured = self._measured(best)
        line = Iteration(
            number=state.history[-1].number + 1,
            group=best.group.name,
            width=best.width,
            accuracy=best.accuracy,
            predicted=state.table.of(best.layers),
            measured=measured,
            proposals=proposals,
            widths=widths,
        )
        # A smaller network is not slower: such a measurement was disturbed. But only one ends the work.
        believe = measured < state.cost or best.predicted <= self._plan.budget
        cost = measured if believe else best.predicted
        return State(
            model=best.model,
            cost=cost,
            table=state.table,
            corrected=state.corrected.corrected(best.predicted, cost),
            history=(*state.history, line),
        )

    def _measured(self, best: _Proposal[M]) -> float:
        measured = self._tools.measure(best.model)
        if best.predicted <= self._plan.budget and not within(measured, self._plan.budget):
            # A disturbed measurement would cost accuracy for nothing: ask again, and believe the smaller.
            measured = min(measured, self._tools.measure(best.model))
        return measured

    def _best(
        self, state: State[M], number: int, choices: Sequence[tuple[Adjustable, int]]
    ) -> _Proposal[M] | None:
        best: _Proposal[M] | None = None
        for index, (group, width) in enumerate(choices):
            self._reporter.check_cancelled()
            begin, end = self._bounds(state, number, index, len(choices))
            activity = f"NetAdapt, iteration {number}: {group.name} with {width} channels"
            part = QuietReporter(self._reporter, begin, end, activity)
            part.progress(0.0, activity)
            candidate = self._try(state, group, width, number, index, part)
            if best is None or candidate.rank > best.rank:
                best = candidate
        return best

    def _try(
        self, state: State[M], group: Adjustable, width: int, number: int, index: int, reporter: Reporter
    ) -> _Proposal[M]:
        tools = self._tools
        model = tools.narrow(state.model, group, width)
        layers = total_cost(tools.layers(model), tools.cost)
        tools.train(model, number, index, reporter)
        return _Proposal(
            model=model,
            group=group,
            width=width,
            accuracy=tools.accuracy(model),
            layers=layers,
            predicted=state.corrected.of(layers),
        )

    def _choices(
        self,
        state: State[M],
        number: int,
        layers: Mapping[str, LayerShape],
        groups: Sequence[Adjustable],
    ) -> list[tuple[Adjustable, int]]:
        """Return each group that can make the step, and the largest width with which it does."""
        step = self._step(state, number)
        for _ in range(_SMALLER_STEPS):
            needed = step / state.corrected.scale
            found = []
            for group in groups:
                self._reporter.check_cancelled()
                width = largest_width(group, layers, self._tools.cost, needed=needed)
                if width is not None:
                    found.append((group, width))
            if found:
                return found
            step /= 2
        return []

    def _step(self, state: State[M], number: int) -> float:
        """Return what an iteration must save: never more than what the budget asks for."""
        plan = self._plan
        return min(state.start * plan.first_step * plan.decay ** (number - 1), state.cost - plan.budget)

    def _bounds(self, state: State[M], number: int, index: int, count: int) -> tuple[float, float]:
        """Return where a proposal starts and ends on the bar, by how much of the way is behind it."""
        way = max(state.start - self._plan.budget, 1e-30)
        begin, part = (state.start - state.cost) / way, self._step(state, number) / way / count
        return min(1.0, max(0.0, begin + index * part)), min(1.0, max(0.0, begin + (index + 1) * part))
