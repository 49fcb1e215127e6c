"""Mixed widths: allocations are the best of their size, errors are those of one layer, budgets are kept."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slimcast.errors import RecipeError, StepError
from slimcast.models.layers import weighted_layers
from slimcast.pipeline import run_recipe
from slimcast.quantize.allocation import Choice, allocations, filled, size_of
from slimcast.quantize.widths import bytes_at, width_errors
from slimcast.recipe import parse_recipe
from slimcast.reporting import SilentReporter
from slimcast.settings import Settings
from support_engine import MemoryStore, RecordingReporter, trained_lenet

RECIPE = """
version: 1
name: tiny
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 3, batch_size: 32}
  - {kind: quantize, method: mixed, SETTINGS}
"""
SIZES = {"int8": 8, "int4": 4, "int2": 2}
costs = st.floats(min_value=0, max_value=10, allow_nan=False)


def _choices(table):
    return [
        Choice(layer=f"layer{i}", width=width, size_bytes=weights * SIZES[width], cost=cost)
        for i, (weights, *row) in enumerate(table)
        for width, cost in zip(SIZES, row, strict=True)
    ]


def _cost(allocation):
    return sum(choice.cost for choice in allocation.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), costs, costs, costs), min_size=1, max_size=4))
def test_no_other_allocation_is_both_smaller_and_more_exact(table):
    choices = _choices(table)
    by_layer = [list(group) for _, group in itertools.groupby(choices, key=lambda one: one.layer)]
    every = [
        (sum(c.size_bytes for c in one), sum(c.cost for c in one)) for one in itertools.product(*by_layer)
    ]
    path = allocations(choices)
    for allocation in path:
        size, cost = size_of(allocation), _cost(allocation)
        assert not any(s <= size and c < cost - 1e-9 for s, c in every)
    assert all(size_of(b) < size_of(a) for a, b in itertools.pairwise(path))
    assert size_of(path[-1]) == min(size for size, _ in every)
    assert _cost(path[0]) == pytest.approx(min(cost for _, cost in every))


def test_a_layer_that_bears_it_gets_fewer_bits_than_one_that_does_not():
    path = allocations(_choices([(100, 0.0, 0.1, 0.2), (100, 0.0, 5.0, 9.0)]))
    assert {name: c.width for name, c in path[2].items()} == {"layer0": "int2", "layer1": "int8"}


def test_errors_grow_with_fewer_bits_and_leave_the_network_as_it_is():
    model = trained_lenet()
    images = torch.rand(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def answers(network):
        return network.eval()(images).numpy()

    before = answers(model)
    found = width_errors(
        model, ("float", "int8", "int2"), keep=("conv1",), activations="", answers=answers,
        reporter=SilentReporter(),
    )  # fmt: skip
    assert np.array_equal(answers(model), before)
    layers = [name for name in weighted_layers(model) if name != "conv1"]
    assert [one.layer for one in found[::3]] == layers
    for whole, eight, two in zip(found[::3], found[1::3], found[2::3], strict=True):
        assert whole.error == 0
        assert whole.same == 1
        assert 0 < eight.error < two.error
        assert two.size_bytes < eight.size_bytes < whole.size_bytes


def test_bytes_are_those_of_packed_weights_and_their_scales():
    weight = torch.zeros(16, 64, 2, 2)
    assert bytes_at(weight, "float", "int8") == 16 * 256 * 4
    assert bytes_at(weight, "int8", "int8") == 16 * 256 + 16 * 4
    assert bytes_at(weight, "int4", "int8") == 16 * 256 // 2 + 16 * 4
    assert bytes_at(weight, "int2", "") == 16 * 256 // 4 + 16 * 2 * 4  # two groups of 128 in a channel


def _run(text, folder):
    reporter, store = RecordingReporter(), MemoryStore(folder)
    home = Settings.from_environment({"SLIMCAST_HOME": str(folder / "home")})
    recipe = parse_recipe(RECIPE.replace("SETTINGS", text))
    variants = run_recipe(recipe, run_id="r", store=store, settings=home, reporter=reporter)
    [table] = [table for table in store.tables("r") if table.name == "1-widths"]
    chosen = {str(row[0]): str(row[1]) for row in table.rows if row[-1]}
    return variants, chosen, reporter


@pytest.mark.slow
def test_the_file_is_as_small_as_asked_for_and_not_smaller_than_need_be(tmp_path):
    [_, small], chosen, _ = _run("target: {bytes: 40000}", tmp_path)
    assert 30_000 < small.value("size_bytes") <= 40_000
    assert small.value("integer_share") == 1
    assert len(set(chosen.values())) > 1
    assert small.value("agreement") > 0.97


@pytest.mark.slow
def test_weights_alone_in_a_share_of_the_widest_trained_on(tmp_path):
    settings = "widths: [int4, int2], activations: float, target: {bytes: 0.7}, epochs: 1, batch_size: 32"
    [_, small], chosen, _ = _run(settings, tmp_path)
    assert small.numeric_kind == "weight_only"
    assert set(chosen.values()) <= {"int4", "int2"}
    assert small.value("accuracy") > 0.9


@pytest.mark.slow
def test_a_budget_that_cannot_be_met_says_what_can(tmp_path):
    with pytest.raises(StepError, match=r"smallest mixture of int8, int4 takes [\d,]+ bytes"):
        _run("widths: [int8, int4], target: {bytes: 2000}", tmp_path)


@pytest.mark.slow
def test_a_budget_of_accuracy_is_kept_by_layers_of_different_widths(tmp_path):
    _, chosen, reporter = _run("widths: [float, int8, int2], target: {max_loss: 0.01}", tmp_path)
    assert set(chosen.values()) <= {"float", "int8", "int2"}
    assert "int2" in chosen.values()
    [said] = [text for level, text in reporter.logs if "1.00% allowed" in text and level == "info"]
    assert float(said.split("%")[0]) <= 1


def test_spare_bytes_go_where_they_lessen_the_error_most():
    choices = _choices([(10, 0.0, 1.0, 4.0), (10, 0.0, 5.0, 9.0), (10, 0.0, 0.1, 0.2)])
    smallest = allocations(choices)[-1]
    widths = {name: one.width for name, one in filled(smallest, choices, 25).items()}
    assert widths == {"layer0": "int2", "layer1": "int4", "layer2": "int2"}
    assert filled(smallest, choices, 5) == smallest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target: {bytes: 0.5, max_loss: 0.1}", "exactly one of bytes, max_loss"),
        ("widths: [int8, int8]", "twice"),
        ("widths: [int8]", "widths: must have 2 entries or more"),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_runs(text, said):
    with pytest.raises(RecipeError, match=said):
        parse_recipe(RECIPE.replace("SETTINGS", text))
