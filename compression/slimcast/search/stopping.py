"""When a trial is seen to be hopeless while it still runs.

Two rules need no comparison with other trials, so they hold for several objectives as well (for which
Optuna does not prune): a finished variant is over a budget that no later step can bring it below, or the
accuracy of the last training step would have to rise faster in its second half than it has in its first.
The third is Optuna's median rule, for a search for accuracy alone: worse than half of the trials were at that
epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from slimcast.recipe import Recipe
from slimcast.records import Event, Variant
from slimcast.search.document import SearchDocument
from slimcast.search.measures import ACCURACY, ACCURACY_DROP, MEASURES
from slimcast.search.outcome import baseline_step, exceeded, figures_of

_ONLY_TRAINS = frozenset({"train", "finetune"})
_NO_GAIN = frozenset({"quantize"})
_EXACT = ("size_bytes", "compressed_bytes", "macs", "params")
_SLACK = {"size_bytes": 1.02, "compressed_bytes": 1.05, "macs": 1.0, "params": 1.0}
"""Weights that are trained on compress a little differently; arithmetic stays as it is."""
_LEAST_POINTS = 4


@dataclass(frozen=True, kw_only=True)
class Point:
    """An accuracy seen while a step trains; `epoch` counts from that step's start."""

    step: int
    epoch: float
    accuracy: float


class Prunes(Protocol):
    """The part of an Optuna trial that compares it with others."""

    def report(self, value: float, step: int) -> None:
        """Note a value that is not final yet."""

    def should_prune(self) -> bool:
        """Return whether others did better at that step."""


@dataclass(frozen=True, kw_only=True)
class Hopeless:
    """Why a trial is hopeless, and by how much which budget is missed, as `outcome.exceeded` says it."""

    reason: str
    missed: Mapping[str, float] = field(default_factory=dict)


class EarlyStop:
    """Looks at a trial's run while it goes on."""

    def __init__(self, search: SearchDocument, recipe: Recipe, trial: Prunes) -> None:
        self._search, self._recipe, self._trial = search, recipe, trial
        self._compares = search.objectives == (ACCURACY,)
        self._reported: set[int] = set()

    def look(self, variants: Sequence[Variant], points: Sequence[Point]) -> Hopeless | None:
        """Return why the trial is hopeless; None as long as it is not."""
        if not self._search.early_stopping:
            return None
        return (
            over_budget_for_good(self._search.budgets, self._recipe, variants)
            or cannot_recover(self._search.budgets, self._recipe, variants, points)
            or self._worse_than_others(points)
        )

    def _worse_than_others(self, points: Sequence[Point]) -> Hopeless | None:
        if not self._compares:
            return None
        for point in points:
            # What is trained before anything is compressed says nothing about the choices behind it.
            key = point.step * 100_000 + round(point.epoch * 100)
            if point.step <= baseline_step(self._recipe) or key in self._reported:
                continue
            self._reported.add(key)
            self._trial.report(point.accuracy, key)
            if self._trial.should_prune():
                return Hopeless(
                    reason=f"accuracy {point.accuracy:.2%} after epoch {point.epoch:g} of step {point.step}: "
                    "half of the trials before had more then"
                )
        return None


def points_of(events: Sequence[Event]) -> list[Point]:
    """Return the accuracies seen so far: on the validation split where there is one, else on test images."""
    found: dict[str, list[Point]] = {}
    for event in events:
        data = event.data
        found.setdefault(str(data["series"]), []).append(
            Point(step=int(data["step"]), epoch=float(data["x"]), accuracy=float(data["y"]))
        )
    return found.get("validation accuracy") or found.get("test accuracy") or []


def over_budget_for_good(
    budgets: Mapping[str, float], recipe: Recipe, variants: Sequence[Variant]
) -> Hopeless | None:
    """Return which budget is missed by a variant behind which steps only train; None where there is none."""
    for variant in variants:
        rest = {step.kind for step in recipe.steps[variant.step + 1 :]}
        if not rest or rest - _ONLY_TRAINS:
            continue
        for name in _EXACT:
            value = variant.value(name)
            if name in budgets and value is not None and value > budgets[name] * _SLACK[name]:
                return Hopeless(
                    reason=f"{variant.name} has {value:,.0f} {MEASURES[name].unit or name}, the budget is "
                    f"{budgets[name]:,.0f}, and the steps behind it only train",
                    missed=exceeded({name: budgets[name]}, {name: value}),
                )
    return None


def cannot_recover(
    budgets: Mapping[str, float], recipe: Recipe, variants: Sequence[Variant], points: Sequence[Point]
) -> Hopeless | None:
    """Return by how much the accuracy is out of reach; None as long as it may still come.

    Asked in the second half of the last step that trains: the gain that is missing is more than all that was
    gained since the first point of that step.
    """
    least = _least_accuracy(budgets, recipe, variants)
    trains = [index for index, step in enumerate(recipe.steps) if step.kind in _ONLY_TRAINS]
    if least is None or not trains or trains[-1] <= baseline_step(recipe):
        return None
    if {step.kind for step in recipe.steps[trains[-1] + 1 :]} - _NO_GAIN:
        return None
    seen = [point for point in points if point.step == trains[-1]]
    epochs = getattr(recipe.steps[trains[-1]], "epochs", 0.0)
    if len(seen) < _LEAST_POINTS or seen[-1].epoch < epochs / 2:
        return None
    best = max(point.accuracy for point in seen)
    gained = best - seen[0].accuracy
    if least - best <= gained:
        return None
    return Hopeless(
        reason=f"accuracy {best:.2%} after {seen[-1].epoch:g} of {epochs:g} epochs of step {trains[-1]}, the "
        f"budget asks for {least:.2%}, and it has risen by {gained:.2%} only",
        missed=exceeded({ACCURACY: least}, {ACCURACY: best}),
    )


def _least_accuracy(
    budgets: Mapping[str, float], recipe: Recipe, variants: Sequence[Variant]
) -> float | None:
    """Return the accuracy that the budgets ask for; None where they ask for none, or it is not known yet."""
    asked = [budgets[ACCURACY]] if ACCURACY in budgets else []
    base = next((v for v in variants if v.step == baseline_step(recipe)), None)
    before = figures_of(base).get(ACCURACY) if base is not None else None
    if ACCURACY_DROP in budgets and before is not None:
        asked.append(before - budgets[ACCURACY_DROP])
    return max(asked, default=None)
