import dataclasses

import numpy as np
import pytest
import torch

from slimcast.errors import Cancelled, DataError, ModelError
from slimcast.measure.predictions import Predictions
from slimcast.pipeline import run_recipe
from slimcast.pipeline.job import initial, prepare, restore
from slimcast.recipe import parse_recipe
from slimcast.settings import Settings
from slimcast_edge.artifact_file import read_info
from support_engine import MemoryStore, RecordingReporter

RECIPE = """
version: 1
name: tiny
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 3, batch_size: 32}
  - {kind: prune, target: {macs: 0.6}, round_to: 2, rounds: 2, finetune_epochs: 0.5}
  - {kind: finetune, epochs: 1, batch_size: 32, distill: {}}
  - {kind: quantize, calibration_samples: 32}
"""
NAMES = ["0-train", "1-prune", "2-finetune", "3-int8"]
FIGURES = {
    "accuracy", "params", "macs", "size_bytes", "compressed_bytes", "sparsity", "integer_share", "agreement",
    "latency_p50_ms", "latency_p90_ms", "peak_rss_mb",
}  # fmt: skip


@pytest.fixture
def settings(tmp_path):
    settings = Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)})
    return dataclasses.replace(settings, data_root=tmp_path / "data")


def _run(text, folder, settings, reporter=None, store=None):
    folder.mkdir(exist_ok=True)
    store = store or MemoryStore(folder)
    reporter = reporter or RecordingReporter()
    return run_recipe(
        parse_recipe(text), run_id="r", store=store, settings=settings, reporter=reporter
    ), store


def test_a_cancelled_run_goes_on_where_it_stopped_with_the_same_result(tmp_path, settings):
    whole, store = _run(RECIPE, tmp_path / "whole", settings)
    assert [variant.name for variant in whole] == NAMES
    assert all({m.name for m in variant.measurements} == FIGURES for variant in whole)
    assert [variant.numeric_kind for variant in whole] == ["float32"] * 3 + ["int8"]
    train, prune, _, int8 = whole
    assert prune.value("macs") <= 0.63 * train.value("macs")
    assert int8.value("size_bytes") < 0.3 * train.value("size_bytes")
    assert int8.value("accuracy") > 0.8
    kept = Predictions.from_bytes(store.artifacts.local_path(int8.predictions).read_bytes())
    assert np.mean(kept.top == kept.truth) == pytest.approx(int8.value("accuracy"))
    info = read_info(store.artifacts.local_path(int8.artifact))
    assert info.recipe_hash == parse_recipe(RECIPE).hash

    folder = tmp_path / "cut"
    folder.mkdir()
    store = MemoryStore(folder)
    with pytest.raises(Cancelled):
        _run(RECIPE, folder, settings, RecordingReporter(cancel_when=(2, "started")), store)
    assert [variant.name for variant in store.variants("r")] == NAMES[:2]
    reporter = RecordingReporter()
    resumed, _ = _run(RECIPE, folder, settings, reporter, store)
    assert reporter.steps[:2] == [(0, "train", "skipped"), (1, "prune", "skipped")]
    assert [variant.artifact for variant in resumed] == [variant.artifact for variant in whole]
    assert reporter.fractions == sorted(reporter.fractions)
    assert reporter.fractions[-1] == 1
    assert any(text.startswith("Training and evaluation batches took") for _, text in reporter.logs)


def test_images_too_small_for_the_network_are_refused_before_any_work(tmp_path, settings):
    reporter = RecordingReporter()
    with pytest.raises(ModelError, match="32"):
        _run(
            RECIPE.replace("{name: digits}", "{name: digits, image_size: 16}"),
            tmp_path / "s",
            settings,
            reporter,
        )
    assert not reporter.steps


def test_a_damaged_data_file_fails_the_run_with_its_path(tmp_path, settings):
    folder = settings.data_root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(b"broken")
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        _run(RECIPE.replace("digits", "mnist"), tmp_path / "d", settings)


def test_a_frozen_backbone_trains_the_head_alone_until_the_first_finetuning(tmp_path, settings):
    text = """
name: frozen
model: {name: lenet5, freeze_backbone: true}
data: {name: digits, train_samples: 64, test_samples: 32}
steps:
  - {kind: train, epochs: 1, batch_size: 32}
  - {kind: finetune, epochs: 1, batch_size: 32}
"""
    _, store = _run(text, tmp_path, settings)
    job = prepare(parse_recipe(text), "r", store, settings)
    begun, trained, tuned = initial(job), restore(job, 0), restore(job, 1)
    assert torch.equal(begun.conv1.weight, trained.conv1.weight)
    assert torch.equal(begun.fc2.bias, trained.fc2.bias)
    assert not torch.equal(begun.fc3.weight, trained.fc3.weight)
    assert not torch.equal(trained.conv1.weight, tuned.conv1.weight)
    assert all(parameter.requires_grad for parameter in tuned.parameters())
