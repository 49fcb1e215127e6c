"""A look at a data set, as the page shows it: counts and samples, no torch, no download."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slimcast.data.digits import load as load_digits
from slimcast.data.look import look
from slimcast.errors import DataError
from slimcast.recipe.subject import DataSpec
from support_folder import colour_of, make_set, write
from support_wait import run_python


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_counts_are_those_of_the_recipe():
    seen = look(DataSpec(name="digits", train_samples=500, validation=100), root=Path())
    assert seen.labels == tuple("0123456789")
    assert (seen.total("train"), seen.total("validation"), seen.total("test")) == (400, 100, 450)
    assert len(seen.counts["train"]) == 10
    assert look(DataSpec(name="digits"), root=Path()).total("validation") == 0


def test_samples_show_real_images_of_their_class():
    seen = look(DataSpec(name="digits"), root=Path(), per_class=2, classes=3)
    assert [sample.label for sample in seen.samples] == ["0", "0", "1", "1", "2", "2"]
    data = load_digits(Path())
    first = data.train_images[data.train_labels == 0][0, ..., 0]
    assert np.array_equal(_pixels(seen.samples[0].png)[::12, ::12], first)


def test_a_folder_shows_its_classes_and_what_it_refuses(tmp_path):
    make_set(tmp_path / "pets", train=3)
    write(tmp_path / "pets" / "train" / "cat" / "notes.txt", b"x")
    write(tmp_path / "pets" / "train" / "cat" / "aa.jpg", b"\xff\xd8\xff\xe0 cut off")
    seen = look(DataSpec(name="folder", path="pets"), root=tmp_path, per_class=2)
    assert seen.counts == {"train": (3, 3), "test": (2, 2)}
    assert [sample.label for sample in seen.samples] == ["cat", "cat", "dog", "dog"]
    assert [colour_of(_pixels(sample.png)) for sample in seen.samples] == ["cat", "cat", "dog", "dog"]
    assert "train/cat/notes.txt is no image" in seen.notes[0]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_what_is_not_there_is_said_and_not_downloaded(tmp_path, monkeypatch, name):
    def never(*args, **kwargs):
        raise AssertionError("downloads")

    monkeypatch.setattr("slimcast.data.fetch.urlopen", never)
    monkeypatch.setattr("slimcast.data.mnist._download", never)
    with pytest.raises(DataError, match=r"is not complete: .*A run downloads it"):
        look(DataSpec(name=name), root=tmp_path)


def test_a_folder_without_its_path(tmp_path):
    with pytest.raises(DataError, match=r"data\.path is missing"):
        look(DataSpec(name="folder"), root=tmp_path)


def test_looking_loads_no_torch():
    code = (
        "import sys\nfrom pathlib import Path\n"
        "import slimcast.data.upload\nfrom slimcast.data.look import look\n"
        "from slimcast.recipe.subject import DataSpec\n"
        "look(DataSpec(name='digits'), root=Path())\n"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in {'torch', 'torchvision', 'sklearn'}))"
    )
    done = run_python(code, timeout_s=240)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_real_cifar100_has_its_names():
    root = Path(os.environ.get("SLIMCAST_DATA_ROOT") or "no-such-folder")
    if not (root / "cifar-100-binary").is_dir():
        pytest.skip("SLIMCAST_DATA_ROOT names no folder with cifar-100-binary")
    seen = look(DataSpec(name="cifar100"), root=root, classes=5)
    assert seen.labels[:3] == ("apple", "aquarium_fish", "baby")
    assert len(seen.samples) == 30
    assert min(seen.counts["test"]) == max(seen.counts["test"])
