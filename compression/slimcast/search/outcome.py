"""What has come of a trial's run: the figures of its last variant, against its baseline and the budgets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from slimcast.recipe import Recipe
from slimcast.records import Variant
from slimcast.search.measures import ACCURACY, ACCURACY_DROP, MEASURES, TEST_ACCURACY

VALIDATION_ACCURACY = "validation_accuracy"
_ROUNDING = 1e-9
_FRACTION_WEIGHT = 10.0
"""So that misses can be added up: a point of accuracy counts as much as ten per cent of the bytes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The figures that a trial is judged by, by the names of `MEASURES`.

    Attributes:
        variant: the variant that the recipe ends with.
        measured: what was measured on it; `accuracy` on the validation split where the recipe holds one
            back, with `test_accuracy` beside it, else on the test images.
    """

    variant: str
    measured: Mapping[str, float] = field(default_factory=dict)


def outcome_of(recipe: Recipe, variants: Iterable[Variant]) -> Outcome:
    """Return the outcome of a run whose last step is done; `accuracy_drop` only where there is a baseline.

    Raises:
        ValueError: there are no variants.
    """
    by_step = {variant.step: variant for variant in variants}
    if not by_step:
        raise ValueError("A run without variants has no outcome.")
    last = by_step[max(by_step)]
    measured = figures_of(last)
    base = baseline_step(recipe)
    before = figures_of(by_step[base]).get(ACCURACY) if base in by_step else None
    if before is not None and ACCURACY in measured:
        measured[ACCURACY_DROP] = before - measured[ACCURACY]
    return Outcome(variant=last.name, measured=measured)


def figures_of(variant: Variant) -> dict[str, float]:
    """Return what was measured on a variant, as a search sees it."""
    figures = {m.name: m.value for m in variant.measurements if m.name in MEASURES}
    validated = variant.value(VALIDATION_ACCURACY)
    if validated is None:
        return figures
    tested = {TEST_ACCURACY: figures[ACCURACY]} if ACCURACY in figures else {}
    return figures | tested | {ACCURACY: validated}


def baseline_step(recipe: Recipe) -> int:
    """Return the last of the leading `train` steps, which leaves the baseline; -1 for given weights."""
    kinds = [step.kind for step in recipe.steps]
    return next((index for index, kind in enumerate(kinds) if kind != "train"), len(kinds)) - 1


def exceeded(budgets: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """Return for each budget that can be judged by how much it is missed; 0 or less: it is kept.

    A limit on bytes, arithmetic or time is missed by a share of itself, one on a fraction by ten times the
    difference, so that they can be added up.
    """
    found = {}
    for name, limit in budgets.items():
        if name not in measured:
            continue
        over = measured[name] - limit
        if abs(over) < _ROUNDING:
            over = 0.0  # exactly two points less are within a budget of two points
        if MEASURES[name].higher_is_better:
            over = -over
        found[name] = over * _FRACTION_WEIGHT if MEASURES[name].is_fraction else over / (limit or 1.0)
    return found
