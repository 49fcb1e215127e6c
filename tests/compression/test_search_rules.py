"""What a trial is worth: budgets, early stopping, the Pareto front."""

import pytest

from slimcast.recipe import Recipe
from slimcast.records import Measurement, Variant
from slimcast.search import parse_search
from slimcast.search.outcome import baseline_step, exceeded, outcome_of
from slimcast.search.result import TrialEnd, TrialLine, pareto_front
from slimcast.search.space import recipe_of
from slimcast.search.stopping import EarlyStop, Hopeless, Point, cannot_recover, over_budget_for_good
from support_search import search_text

SEARCH = parse_search(search_text())
NO_CHANGE = {"steps.3": "keep"}


def _recipe(**changes: str) -> Recipe:
    return recipe_of(parse_search(search_text(**changes)), NO_CHANGE, "x")


def _variant(step: int, **values: float) -> Variant:
    found = [
        Measurement(name=name, value=value, higher_is_better="accuracy" in name)
        for name, value in values.items()
    ]
    return Variant(
        run_id="r",
        name=f"{step}-x",
        step=step,
        step_kind="x",
        numeric_kind="float32",
        artifact=None,
        measurements=tuple(found),
    )


def _line(number: int, **measured: float) -> TrialLine:
    return TrialLine(
        number=number,
        end=TrialEnd.DONE,
        run="",
        variant="",
        parameters={},
        measured=measured,
        exceeded={},
        reason="",
    )


class TestOutcome:
    def test_the_last_variant_counts_against_the_trained_one(self):
        variants = [_variant(0, accuracy=0.95), _variant(1, accuracy=0.5), _variant(3, accuracy=0.93)]
        outcome = outcome_of(_recipe(), variants)
        assert outcome.variant == "3-x"
        assert outcome.measured == {"accuracy": 0.93, "accuracy_drop": pytest.approx(0.02)}

    def test_the_validation_split_decides_where_there_is_one(self):
        variants = [
            _variant(0, accuracy=0.95, validation_accuracy=0.96),
            _variant(3, accuracy=0.94, validation_accuracy=0.9),
        ]
        measured = outcome_of(_recipe(), variants).measured
        assert (measured["accuracy"], measured["test_accuracy"]) == (0.9, 0.94)
        assert measured["accuracy_drop"] == pytest.approx(0.06)

    def test_without_a_trained_baseline_there_is_no_drop(self):
        recipe = recipe_of(SEARCH, NO_CHANGE | {"steps.0": "drop"}, "x")
        assert baseline_step(recipe) == -1
        assert "accuracy_drop" not in outcome_of(recipe, [_variant(0, accuracy=0.9)]).measured

    def test_a_run_without_variants_has_none(self):
        with pytest.raises(ValueError, match="without variants"):
            outcome_of(_recipe(), [])


class TestBudgets:
    def test_points_and_shares_can_be_added_up(self):
        missed = exceeded(
            {"accuracy_drop": 0.02, "size_bytes": 100, "accuracy": 0.9},
            {"accuracy_drop": 0.03, "size_bytes": 90, "accuracy": 0.88, "macs": 5},
        )
        assert missed == pytest.approx({"accuracy_drop": 0.1, "size_bytes": -0.1, "accuracy": 0.2})

    def test_exactly_the_budget_is_kept_in_spite_of_rounding(self):
        assert exceeded({"accuracy_drop": 0.02}, {"accuracy_drop": 0.99111 - 0.97111}) == {"accuracy_drop": 0}

    def test_what_was_not_measured_is_not_judged(self):
        assert exceeded({"latency_p50_ms": 3}, {"macs": 5}) == {}


class TestEarlyStopping:
    def test_bytes_that_no_later_step_takes_away(self):
        dropped = recipe_of(SEARCH, {"steps.3": "drop"}, "x")
        found = over_budget_for_good({"size_bytes": 100}, dropped, [_variant(1, size_bytes=150)])
        assert isinstance(found, Hopeless)
        assert found.missed == {"size_bytes": 0.5}
        assert over_budget_for_good({"size_bytes": 100}, dropped, [_variant(1, size_bytes=101)]) is None

    def test_bytes_that_quantization_may_still_take_away(self):
        assert over_budget_for_good({"size_bytes": 100}, _recipe(), [_variant(1, size_bytes=150)]) is None

    @pytest.mark.parametrize(
        ("accuracies", "hopeless"),
        [
            ([0.5, 0.51, 0.52, 0.53], True),
            ([0.5, 0.7, 0.8, 0.85], False),  # needs 0.05, has risen by 0.35
            ([0.96, 0.95, 0.95, 0.95], False),
            ([0.5, 0.4, 0.3], False),  # too few points to say
        ],
    )
    def test_accuracy_that_rises_too_slowly(self, accuracies: list[float], hopeless: bool):
        points = [Point(step=2, epoch=i + 1, accuracy=a) for i, a in enumerate(accuracies)]
        found = cannot_recover({"accuracy_drop": 0.05}, _recipe(), [_variant(0, accuracy=0.95)], points)
        assert (found is not None) is hopeless

    def test_the_first_half_of_the_epochs_decides_nothing(self):
        points = [Point(step=2, epoch=0.1 * i, accuracy=0.5) for i in range(1, 19)]
        variants = [_variant(0, accuracy=0.95)]
        assert cannot_recover({"accuracy_drop": 0.05}, _recipe(), variants, points) is None

    def test_others_count_only_behind_the_baseline_and_for_accuracy_alone(self):
        class Others:
            told: list[int]

            def __init__(self) -> None:
                self.told = []

            def report(self, value: float, step: int) -> None:
                self.told.append(step)

            def should_prune(self) -> bool:
                return True

        points = [Point(step=0, epoch=1, accuracy=0.1), Point(step=2, epoch=1, accuracy=0.1)]
        several, alone, off = Others(), Others(), Others()
        assert EarlyStop(SEARCH, _recipe(), several).look([], points) is None
        assert several.told == []
        one = parse_search(search_text(objectives="objectives: [accuracy]"))
        found = EarlyStop(one, _recipe(), alone).look([], points)
        assert found is not None
        assert "epoch 1 of step 2" in found.reason
        assert len(alone.told) == 1
        none = one.model_copy(update={"early_stopping": False})
        assert EarlyStop(none, _recipe(), off).look([], points) is None


def test_the_front_holds_what_nothing_beats():
    trials = [
        _line(0, accuracy=0.9, size_bytes=100),
        _line(1, accuracy=0.95, size_bytes=200),
        _line(2, accuracy=0.9, size_bytes=150),
        _line(3, accuracy=0.95, size_bytes=200),
    ]
    assert [trial.number for trial in pareto_front(trials, ["accuracy", "size_bytes"])] == [1, 0]
    assert [trial.number for trial in pareto_front(trials, ["size_bytes"])] == [0]
    assert pareto_front([], ["accuracy"]) == []
