"""CIFAR in its binary layout: tiny files of our own, and the real ones where they are."""

import hashlib
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slimcast.data import cifar, fetch
from slimcast.data.fetch import Archive
from slimcast.errors import DataError

NAMES10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
RANDOM = np.random.default_rng(3)


def _batch(labels: np.ndarray, extra: int = 0) -> bytes:
    """Return records; the first pixel of each channel of an image is its label, plus 0, 100, 200."""
    table = RANDOM.integers(0, 256, (len(labels), extra + 1 + 3072)).astype(np.uint8)
    table[:, extra] = labels
    for channel in range(3):
        table[:, extra + 1 + channel * 1024] = (labels + 100 * channel) % 256
    return table.tobytes()


def _cifar10(root: Path, *, batches=(1, 3)) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for number in batches:
        (folder / f"data_batch_{number}.bin").write_bytes(_batch(np.arange(20) % 10))
    (folder / "test_batch.bin").write_bytes(_batch(np.arange(10)))
    (folder / "batches.meta.txt").write_text("\n".join(NAMES10) + "\n\n")
    return folder


def _unreachable(*args, **kwargs):
    raise OSError("Network is unreachable")


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(fetch, "urlopen", _unreachable)


def test_the_batches_that_are_there_are_read_and_the_rest_is_said(tmp_path):
    _cifar10(tmp_path)
    data = cifar.load_cifar10(tmp_path)
    assert data.train_images.shape == (40, 32, 32, 3)
    assert data.test_images.shape == (10, 32, 32, 3)
    assert list(data.labels) == NAMES10
    assert data.flips
    (note,) = data.notes
    assert "40 of 50,000 training" in note
    assert "data_batch_2.bin, data_batch_4.bin, data_batch_5.bin" in note


def test_pixels_and_labels_come_in_the_right_order(tmp_path):
    _cifar10(tmp_path)
    data = cifar.load_cifar10(tmp_path)
    assert np.array_equal(data.test_labels, np.arange(10))
    corner = data.test_images[:, 0, 0].astype(int)
    assert np.array_equal(corner, data.test_labels[:, None] + [0, 100, 200])


def test_the_fine_label_of_cifar100_counts(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "train.bin").write_bytes(_batch(np.arange(100), extra=1))
    (folder / "test.bin").write_bytes(_batch(np.arange(99, -1, -1), extra=1))
    (folder / "fine_label_names.txt").write_text("\n".join(f"class_{i}" for i in range(100)))
    data = cifar.load_cifar100(tmp_path)
    assert np.array_equal(data.train_labels, np.arange(100))
    assert data.labels[data.test_labels[0]] == "class_99"


@pytest.mark.parametrize("missing", ["test_batch.bin", "batches.meta.txt"])
def test_what_is_missing_and_cannot_be_fetched_is_named(tmp_path, offline, missing):
    folder = _cifar10(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(DataError, match=f"unreachable.*{missing}.*SLIMCAST_DATA_ROOT"):
        cifar.load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("test_batch.bin", bytes(3073 * 2 - 1), "no whole number of 3073-byte records"),
        ("test_batch.bin", b"", "0 bytes are no whole number"),
        ("data_batch_1.bin", b"\x0a" + bytes(3072), "label 10, expected 0 to 9"),
        ("batches.meta.txt", b"cat\ndog\n", "must name 10 different classes"),
        ("batches.meta.txt", b"\xff\xfe", "batches.meta.txt"),
    ],
)
def test_a_damaged_file_says_what_was_expected(tmp_path, name, content, message):
    (_cifar10(tmp_path) / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        cifar.load_cifar10(tmp_path)


def _tar(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("cifar/batches.meta.txt.link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def test_a_download_is_checked_and_only_the_wanted_files_are_taken(tmp_path, monkeypatch):
    content = _tar({"../../wanted.bin": b"new", "x/there.bin": b"new", "evil.sh": b"rm -rf /"})
    monkeypatch.setattr(fetch, "urlopen", lambda *a, **k: io.BytesIO(content))
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "there.bin").write_bytes(b"old")
    archive = Archive(url="https://example.org/a.tar.gz", md5=hashlib.md5(content).hexdigest())
    fetch.fetch(archive, folder, ("wanted.bin", "there.bin"), title="A")
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == {
        "wanted.bin": b"new",
        "there.bin": b"old",
    }
    with pytest.raises(DataError, match=r"expected 0{32}"):
        fetch.fetch(replace(archive, md5="0" * 32), folder, ("other.bin",), title="A")
    with pytest.raises(DataError, match=r"the archive lacks other\.bin"):
        fetch.fetch(archive, folder, ("other.bin",), title="A")


@pytest.mark.parametrize(
    ("folder", "load", "mean"),
    [
        ("cifar-10-batches-bin", cifar.load_cifar10, (0.4914, 0.4822, 0.4465)),
        ("cifar-100-binary", cifar.load_cifar100, (0.5071, 0.4865, 0.4409)),
    ],
)
def test_the_real_ones(folder, load, mean):
    root = Path(os.environ.get("SLIMCAST_DATA_ROOT") or "no-such-folder")
    if not (root / folder).is_dir():
        pytest.skip(f"SLIMCAST_DATA_ROOT names no folder with {folder}")
    data = load(root)
    # Published for the whole training sets; ours may have only a part.
    assert data.mean == pytest.approx(mean, abs=3e-3)
    assert set(data.test_labels) == set(range(len(data.labels)))
