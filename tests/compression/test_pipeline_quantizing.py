"""Every method of `quantize`, from a recipe to an artifact that a fresh process opens."""

import pytest

from slimcast.catalog import QUANTIZERS
from slimcast.errors import Cancelled
from slimcast.pipeline import run_recipe
from slimcast.pipeline.quantizing import METHODS, epochs_of
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
  - {kind: quantize, METHOD}
"""
KINDS = {
    "static": "int8", "qat": "int8", "dynamic": "int8", "float16": "float16",
    "binary": "binary", "dorefa": "int8", "pact": "int8", "wrpn": "int8",
    "weight_only": "weight_only", "quanto": "int8", "mixed": "int8",
}  # fmt: skip
LABELS = {
    "static": "int8", "qat": "int8-qat", "dynamic": "int8", "float16": "float16",
    "binary": "binary", "dorefa": "dorefa-w4a8", "pact": "pact-w4a4", "wrpn": "wrpn-w4a8",
    "weight_only": "int4", "quanto": "int8-int8", "mixed": "mixed",
}  # fmt: skip
SMALLER = {
    "static": 0.4, "qat": 0.4, "dynamic": 0.4, "float16": 0.6,
    "binary": 0.07, "dorefa": 0.17, "pact": 0.17, "wrpn": 0.17, "weight_only": 0.2, "quanto": 0.4,
    "mixed": 0.3,
}  # fmt: skip
"""Bytes beside the float artifact's: about eight kilobytes of both are no weights."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store in which the training is done, as every recipe here begins; a run goes on behind it."""
    store = MemoryStore(tmp_path_factory.mktemp("trained"))
    with pytest.raises(Cancelled):
        _run("static", store, RecordingReporter(cancel_when=(1, "started")))
    assert [checkpoint.step for checkpoint in store.checkpoints("r")] == [0]
    return store


def _run(method, store, reporter):
    settings = Settings.from_environment({"SLIMCAST_HOME": str(store.folder / "home")})
    recipe = parse_recipe(RECIPE.replace("METHOD", f"method: {method}"))
    return run_recipe(recipe, run_id="r", store=store, settings=settings, reporter=reporter)


def test_every_method_of_the_catalog_can_be_run():
    assert set(METHODS) == set(QUANTIZERS.names()) == set(KINDS)


@pytest.mark.parametrize("method", KINDS)
def test_a_method_leaves_a_smaller_artifact_that_answers_alike(method, trained):
    reporter = RecordingReporter()
    [whole, small] = _run(method, trained.copy(), reporter)
    assert reporter.steps[0] == (0, "train", "skipped")
    assert small.name == f"1-{LABELS[method]}"
    assert small.numeric_kind == KINDS[method]
    assert small.value("size_bytes") < SMALLER[method] * whole.value("size_bytes")
    assert small.value("agreement") > 0.95
    assert small.value("accuracy") > whole.value("accuracy") - 0.03
    assert small.value("params") == whole.value("params")


def test_progress_knows_how_long_a_method_takes():
    recipe = parse_recipe(RECIPE.replace("METHOD", "method: static"))
    assert epochs_of(recipe.steps[1]) > 0
