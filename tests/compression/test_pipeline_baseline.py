"""A run that is given a trained network measures it before it changes it."""

import pytest

from slimcast.models.state import save_state
from slimcast.pipeline import run_recipe
from slimcast.recipe import parse_recipe
from slimcast.settings import Settings
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet

RECIPE = """
name: tiny
model: {name: lenet5, weights: WEIGHTS}
data: {name: digits}
steps: STEPS
"""
PRUNE = "[{kind: prune, target: {macs: 0.5}, round_to: 2}]"
TRAIN = "[{kind: train, epochs: 0.2}]"


def _run(folder, weights, steps, store=None):
    (folder / "w.safetensors").write_bytes(save_state(trained_lenet(), LENET))
    settings = Settings.from_environment(
        {"SLIMCAST_HOME": str(folder / "home"), "SLIMCAST_WEIGHTS_ROOT": str(folder)}
    )
    recipe = parse_recipe(RECIPE.replace("WEIGHTS", weights).replace("STEPS", steps))
    store = store or MemoryStore(folder)
    return run_recipe(recipe, run_id="r", store=store, settings=settings, reporter=RecordingReporter())


def test_given_weights_are_the_baseline(tmp_path):
    store = MemoryStore(tmp_path)
    [baseline, pruned] = _run(tmp_path, "w.safetensors", PRUNE, store)
    assert (baseline.name, baseline.step, baseline.step_kind) == ("baseline", -1, "baseline")
    assert baseline.value("accuracy") > 0.9
    assert baseline.value("params") == sum(p.numel() for p in trained_lenet().parameters())
    assert pruned.value("macs") < 0.6 * baseline.value("macs")
    assert len(digits().test_labels) == next(m.n for m in baseline.measurements if m.name == "accuracy")
    again = _run(tmp_path, "w.safetensors", PRUNE, store)
    assert [variant.name for variant in again] == ["baseline", "0-prune"]


@pytest.mark.parametrize(("weights", "steps"), [("none", TRAIN), ("w.safetensors", TRAIN)])
def test_what_is_trained_first_is_its_own_baseline(weights, steps, tmp_path):
    assert [variant.name for variant in _run(tmp_path, weights, steps)] == ["0-train"]
