"""The methods of quanto in a recipe: trained, calibrated, in formats without kernels, and refused."""

import pytest

from slimcast.errors import StepError
from slimcast.pipeline import run_recipe
from slimcast.recipe import parse_recipe
from slimcast.settings import Settings
from support_engine import MemoryStore, RecordingReporter

RECIPE = """
version: 1
name: tiny
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 3, batch_size: 32}
  - {kind: quantize, SETTINGS}
"""


def _run(settings, folder):
    reporter, store = RecordingReporter(), MemoryStore(folder)
    home = Settings.from_environment({"SLIMCAST_HOME": str(folder / "home")})
    recipe = parse_recipe(RECIPE.replace("SETTINGS", settings))
    variants = run_recipe(recipe, run_id="r", store=store, settings=home, reporter=reporter)
    return variants, reporter, store


@pytest.mark.slow
def test_weights_are_trained_with_their_rounding(tmp_path):
    settings = "method: weight_only, weights: int2, ends: same, epochs: 3, batch_size: 32, distill: {}"
    [whole, small], reporter, store = _run(settings, tmp_path)
    assert small.name == "1-int2"
    assert small.value("accuracy") > 0.9
    assert small.value("agreement") > 0.99
    assert small.value("size_bytes") < 0.12 * whole.value("size_bytes")
    [table] = [table for table in store.tables("r") if table.name == "1-rounding"]
    assert [row[:3] for row in table.rows][1] == ("conv2", "int2", 2400)
    assert any("nothing faster" in text for _, text in reporter.logs)
    assert any(
        series.startswith("train") or "loss" in series for series, _, _, step in reporter.points if step == 1
    )


@pytest.mark.slow
def test_a_format_without_kernels_is_written_and_said(tmp_path):
    [_, small], reporter, _ = _run("method: quanto, weights: float8, activations: float8", tmp_path)
    assert small.name == "1-float8-float8"
    assert small.numeric_kind == "weight_only"
    assert small.value("agreement") > 0.98
    assert small.value("integer_share") == 0
    assert any(level == "warning" and "no kernel for float8 weights" in text for level, text in reporter.logs)


@pytest.mark.slow
def test_four_bits_run_in_integer_kernels(tmp_path):
    [whole, small], _, _ = _run("method: quanto, weights: int4, ends: same", tmp_path)
    assert small.numeric_kind == "int8"
    assert small.value("integer_share") == 1
    assert small.value("size_bytes") < 0.2 * whole.value("size_bytes")
    assert small.value("agreement") > 0.97


@pytest.mark.slow
def test_nothing_to_round_fails_the_run_with_what_to_do(tmp_path):
    with pytest.raises(StepError, match="Name fewer layers in keep"):
        _run("method: weight_only, keep: ['*']", tmp_path)
