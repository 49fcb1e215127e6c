"""The step `netadapt`."""

import math
from dataclasses import asdict
from typing import Any

from torch import nn

from slimcast.pipeline.job import Job
from slimcast.pipeline.netadapt_tools import NetAdaptTools
from slimcast.pipeline.unfinished import Unfinished
from slimcast.prune.netadapt import Adaptation, AdaptPlan
from slimcast.prune.netadapt_state import Iteration, Prediction, State, within
from slimcast.recipe import NetAdaptStep
from slimcast.records import Cell
from slimcast.reporting import MonotoneReporter, Reporter, ScaledReporter
from slimcast_edge.bench import cores, is_busy, load

_GROUPS = 8
_EPOCH_BATCHES = 400
"""A guess at an iteration's proposals and an epoch's batches, for the bar: the recipe alone does not tell."""


def epochs_of(step: NetAdaptStep) -> float:
    """Return about how long the step takes, in the time of an epoch."""
    way = 1 - step.target.value if step.target.value < 1 else 0.5
    iterations = 1.0
    if step.first_step < way:
        # The steps are a geometric series.
        left = 1 - way / step.first_step * (1 - step.decay)
        iterations = (
            math.log(left) / math.log(step.decay) if left > 0 and step.decay < 1 else way / step.first_step
        )
    short = min(iterations, step.iterations) * _GROUPS * (step.short_finetune_batches + 5) / _EPOCH_BATCHES
    return short + step.finetune_epochs


def run_netadapt(
    job: Job, index: int, step: NetAdaptStep, model: nn.Module, reporter: ScaledReporter
) -> nn.Module:
    """Return the narrowed and trained network.

    Raises:
        StepError: there is nothing to cut, or the target cannot be met at all.
    """
    bar = MonotoneReporter(reporter)
    share = 1 - step.finetune_epochs / max(epochs_of(step), 1e-9)
    tools = NetAdaptTools(job, index, step, model, bar)
    unfinished = Unfinished(job, index)
    state, plan = _begin(step, tools, model, unfinished, bar)
    adaptation = Adaptation(tools, plan, ScaledReporter(bar, 0.0, share))
    table = f"{index}-netadapt"
    _tell(table, tools, state, bar)
    while (after := adaptation.advance(state)) is not None:
        state = after
        unfinished.save(state.model, _facts(state))
        _tell(table, tools, state, bar)
        _log(tools, state, bar)
    _conclude(f"{table}-result", tools, state, plan.budget, bar)
    tools.train_long(state.model, ScaledReporter(bar, share, 1.0))
    unfinished.remove()
    return state.model


def _begin(
    step: NetAdaptStep,
    tools: NetAdaptTools,
    model: nn.Module,
    unfinished: Unfinished,
    reporter: Reporter,
) -> tuple[State[nn.Module], AdaptPlan]:
    """Return where to go on, or begin."""
    kept = unfinished.load()
    state = _state(*kept) if kept else None
    start = state.start if state else _start(tools, model)
    plan = AdaptPlan(
        budget=step.target.value * (start if step.target.value < 1 else 1),
        first_step=step.first_step,
        decay=step.decay,
        iterations=step.iterations,
    )
    if state is not None:
        reporter.log(f"NetAdapt goes on after iteration {state.history[-1].number}")
        return state, plan
    if not tools.exact and not step.device:
        _warn_if_busy(reporter)
    state = Adaptation(tools, plan, reporter).begin(model, start)
    reporter.log(
        f"NetAdapt: from {tools.show(start)} to {tools.show(plan.budget)} ({plan.budget / start:.1%}); "
        f"choices on {tools.choice_count} images, accuracy there {state.history[0].accuracy:.2%}"
    )
    return state, plan


def _start(tools: NetAdaptTools, model: nn.Module) -> float:
    """Return what the network costs before it all; all shares are of this, so it is measured twice."""
    first = tools.measure(model)
    return first if tools.exact else min(first, tools.measure(model))


def _warn_if_busy(reporter: Reporter) -> None:
    if is_busy():
        reporter.log(
            f"This machine is busy (load {load():.1f} on {cores()} cores): what is measured now is too slow, "
            "and differently so each time. For figures to rely on, run this when nothing else does.",
            "warning",
        )


def _log(tools: NetAdaptTools, state: State[nn.Module], reporter: Reporter) -> None:
    last = state.history[-1]
    reporter.log(
        f"Iteration {last.number}: {last.group} to {last.width} channels, the best of {last.proposals}; "
        f"accuracy on the images for choices {last.accuracy:.2%}, {tools.show(last.measured)} "
        f"({last.measured / state.start:.1%} of the start; by the table {last.predicted / state.start:.1%})"
    )


def _tell(name: str, tools: NetAdaptTools, state: State[nn.Module], reporter: Reporter) -> None:
    """Show the whole history; the table replaces the one before."""
    cost = tools.budget.name
    columns = (
        "iteration", "group", "channels", "accuracy", f"predicted_{cost}", f"measured_{cost}",
        "share_of_start", "proposals", "widths",
    )  # fmt: skip
    reporter.table(name, columns, [_row(line, state.start) for line in state.history])


def _row(line: Iteration, start: float) -> tuple[Cell, ...]:
    return (
        line.number,
        line.group,
        line.width if line.number else None,
        line.accuracy,
        line.predicted,
        line.measured,
        line.measured / start,
        line.proposals,
        " ".join(str(width) for width in line.widths),
    )


def _conclude(
    name: str, tools: NetAdaptTools, state: State[nn.Module], budget: float, reporter: Reporter
) -> None:
    """Compare what the table predicted with what was measured, and say so where the budget was not met."""
    last, cost, show = state.history[-1], tools.budget.name, tools.show
    off = last.predicted / last.measured - 1
    rows = [("before", state.start, state.start, 0.0), ("after", last.predicted, last.measured, off)]
    reporter.table(name, ("network", f"predicted_{cost}", f"measured_{cost}", "predicted_off_by"), rows)
    reporter.log(
        f"NetAdapt took {last.number} iterations: from {show(state.start)} to {show(last.measured)} measured "
        f"({last.measured / state.start:.1%}); predicted {show(last.predicted)}, off by {off:+.1%}. "
        f"Channels: {' '.join(str(width) for width in last.widths)}"
    )
    if not within(last.measured, budget):
        reporter.log(
            f"The budget of {show(budget)} is not met: {show(last.measured)} is the best that was found. No "
            "group can be cut further, or there were too few iterations.",
            "warning",
        )


def _facts(state: State[nn.Module]) -> dict[str, Any]:
    return {
        "cost": state.cost,
        "table": asdict(state.table),
        "corrected": asdict(state.corrected),
        "history": [asdict(line) for line in state.history],
    }


def _state(model: nn.Module, facts: dict[str, Any]) -> State[nn.Module]:
    history = tuple(Iteration(**line | {"widths": tuple(line["widths"])}) for line in facts["history"])
    return State(
        model=model,
        cost=facts["cost"],
        table=Prediction(**facts["table"]),
        corrected=Prediction(**facts["corrected"]),
        history=history,
    )
