"""A folder of images through a whole run, held in memory and read from disk."""

import dataclasses

import numpy as np
import pytest

from slimcast.data import folder as folders
from slimcast.data.choice import images_for_choice
from slimcast.data.files import ImageFiles
from slimcast.data.load import load_data
from slimcast.errors import DataError
from slimcast.pipeline import run_recipe
from slimcast.recipe import parse_recipe
from slimcast.recipe.subject import DataSpec
from slimcast.settings import Settings
from slimcast_edge.artifact_file import read_info
from support_engine import MemoryStore, RecordingReporter
from support_folder import make_classes, write

RECIPE = """
name: pets
model: {name: lenet5}
data: {name: folder, path: pets, image_size: 32, validation: 0.2}
steps:
  - {kind: train, epochs: 4, batch_size: 8}
  - {kind: quantize, calibration_samples: 16}
"""


@pytest.fixture
def settings(tmp_path):
    settings = Settings.from_environment({"SLIMCAST_HOME": str(tmp_path / "home")})
    make_classes(tmp_path / "data" / "pets", {"cat": 40, "dog": 40, "hen": 40})
    write(tmp_path / "data" / "pets" / "cat" / "notes.txt", b"x")
    return dataclasses.replace(settings, data_root=tmp_path / "data")


def _run(settings, folder):
    folder.mkdir()
    store, reporter = MemoryStore(folder), RecordingReporter()
    variants = run_recipe(parse_recipe(RECIPE), run_id="r", store=store, settings=settings, reporter=reporter)
    return variants, store, reporter


@pytest.mark.slow
@pytest.mark.parametrize("limit", [folders.MEMORY_BYTES, 0], ids=["in memory", "streamed"])
def test_a_folder_becomes_an_artifact_with_its_labels(tmp_path, settings, monkeypatch, limit):
    monkeypatch.setattr(folders, "MEMORY_BYTES", limit)
    variants, store, reporter = _run(settings, tmp_path / "run")
    assert variants[-1].value("accuracy") > 0.9
    info = read_info(store.artifacts.local_path(variants[-1].artifact))
    assert info.labels == ["cat", "dog", "hen"]
    assert (info.input.channels, info.input.resize) == (3, "center_crop")
    logs = [text for _, text in reporter.logs]
    assert "77 training, 19 validation, 24 test images of 32x32 pixels, RGB, 3 classes" in logs
    assert any("cat/notes.txt is no image" in text for text in logs)


def test_images_for_a_choice_hold_each_class_and_are_not_decoded_before_they_are_used(settings, monkeypatch):
    monkeypatch.setattr(folders, "MEMORY_BYTES", 0)
    data = load_data(DataSpec(name="folder", path="pets"), root=settings.data_root)
    images, labels = images_for_choice(data)
    assert isinstance(images, ImageFiles)
    assert len(images) == len(labels) == 10
    assert set(labels) == {0, 1, 2}
    held = load_data(DataSpec(name="folder", path="pets", validation=9), root=settings.data_root)
    assert np.bincount(images_for_choice(held)[1]).tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"mean": (0.5,), "std": (0.5,)}, "data.mean has 1 values, but the images have 3 channels"),
        ({"mean": (0.5, 0.5, 0.5), "std": (0.2,)}, "data.std has 1 values"),
        ({"validation": 0.99}, "cannot be held back"),
    ],
)
def test_what_the_images_cannot_give_is_said(settings, spec, message):
    with pytest.raises(DataError, match=message):
        load_data(DataSpec(name="folder", path="pets", **spec), root=settings.data_root)


def test_given_statistics_and_flips_win(settings):
    spec = DataSpec(name="folder", path="pets", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), flips=False)
    data = load_data(spec, root=settings.data_root)
    assert (data.mean, data.std, data.flips) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), False)


def test_grey_digits_become_three_channels(tmp_path):
    grey = load_data(DataSpec(name="digits"), root=tmp_path)
    data = load_data(DataSpec(name="digits", channels=3, validation=10), root=tmp_path, image_size=16)
    assert data.validation_images.shape == (10, 16, 16, 3)
    assert data.mean == grey.mean * 3
    assert (data.train_images[..., 0] == data.train_images[..., 2]).all()
