"""Structured pruning: whole channels, with everything that depends on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from slimcast.catalog import CRITERIA
from slimcast.errors import StepError
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.models.layers import check_patterns, weighted_layers
from slimcast.prune.evidence import Evidence, Samples
from slimcast.prune.groups import find_groups
from slimcast.prune.plan import PrunePlan
from slimcast.prune.ranking import Move
from slimcast.prune.round import Round
from slimcast.prune.search import Budget, least_moves
from slimcast.reporting import Reporter


@dataclass(frozen=True, kw_only=True)
class PruneReport:
    """MACs and parameters before and after, and each group's channels (name, before, after)."""

    macs_before: int
    macs: int
    parameters_before: int
    parameters: int
    channels: tuple[tuple[str, int, int], ...]


def prune(
    model: nn.Module,
    example: Tensor,
    plan: PrunePlan,
    *,
    reporter: Reporter,
    samples: Samples | None = None,
    after_cut: Callable[[nn.Module], None] | None = None,
    after_round: Callable[[nn.Module, int], None] | None = None,
) -> tuple[nn.Module, PruneReport]:
    """Return the pruned network, in evaluation mode, and what has become of it.

    Args:
        model: is left as it is.
        example: one normalised image, (1, C, H, W).
        samples: for criteria that need training images, see `CriterionInfo.needs`.
        after_cut: is given the network after each cut.
        after_round: trains the network in place after each round but the last.

    Raises:
        StepError: the goal cannot be met, the criterion does not apply, or the network cannot be pruned.
        Cancelled: somebody cancelled the run.
    """
    check_patterns(plan.ratios, weighted_layers(model), "ratios")
    whole, rounds = model, plan.rounds
    groups = find_groups(model, example, keep=plan.keep)
    initial = {group.name: group.channels for group in groups}
    budget = Budget(plan.goal, model, initial) if plan.goal is not None else None
    for index in range(rounds):
        reporter.progress(index / rounds, f"Pruning, round {index + 1} of {rounds}")
        if index:
            groups = find_groups(model, example, keep=plan.keep)
        evidence = Evidence(model=model, samples=samples, seed=plan.seed + index)
        scores = CRITERIA[plan.criterion].load()(groups, evidence)
        _say_unranked([group.name for group in groups if group.name not in scores], plan, reporter, index)
        done = (index + 1) / rounds
        step = Round(plan, model, example, groups=groups, scores=scores, initial=initial, done=done)
        if done == 1:
            step.say_ratios(reporter)
        model = _cut(step, plan, budget, done, reporter)
        if after_cut is not None:
            after_cut(model)
        if after_round is not None and index + 1 < rounds:
            after_round(model, index)
    return model, _report(whole, model, example, plan, initial)


def _cut(step: Round, plan: PrunePlan, budget: Budget | None, done: float, reporter: Reporter) -> nn.Module:
    """Return the network after one more round; `done` is the share of the rounds that is then over."""
    if budget is None:
        return step.checked(())
    step.checked(step.line)  # first the most that can go: where that is right, so is all between
    wanted = budget.after(done, plan.schedule)

    def cost(taken: Sequence[Move]) -> float:
        reporter.check_cancelled()
        return budget.of(step.trial(taken))

    taken, value = least_moves(step.line, cost, wanted, refine=budget.exact)
    pruned = step.checked(taken)
    if not budget.holds(value, pruned):
        return _cut(step, plan, budget, done, reporter)
    if value > wanted and done == 1:
        raise StepError(
            f"The target of {budget.show(wanted)} cannot be met: the least that can be reached is "
            f"{budget.show(value)}, of {budget.show(budget.before)}. Raise the target, or leave more to "
            f"prune: "
            f"keep fewer layers, lower round_to (now {plan.round_to}), or raise max_ratio "
            f"(now {plan.max_ratio:g})."
        )
    reporter.log(
        f"{budget.show(value)} remain of {budget.show(budget.before)} ({value / budget.before:.1%}); "
        f"at most {budget.show(wanted)} were wanted"
    )
    return pruned


def _say_unranked(names: Sequence[str], plan: PrunePlan, reporter: Reporter, index: int) -> None:
    if names and index == 0:
        reporter.log(
            f"The criterion {plan.criterion} cannot rank {len(names)} groups of layers, which stay as they "
            f"are: " + ", ".join(names),
            "warning",
        )


def _report(
    whole: nn.Module, model: nn.Module, example: Tensor, plan: PrunePlan, initial: Mapping[str, int]
) -> PruneReport:
    layers = weighted_layers(model)
    report = PruneReport(
        macs_before=count_macs(whole, example),
        macs=count_macs(model, example),
        parameters_before=count_parameters(whole),
        parameters=count_parameters(model),
        channels=tuple((name, count, int(layers[name].weight.shape[0])) for name, count in initial.items()),
    )
    if report.macs >= report.macs_before:
        raise StepError(
            f"Pruning cut nothing: no channel count can fall to a lower multiple of {plan.round_to}. "
            "Lower round_to."
        )
    return report
