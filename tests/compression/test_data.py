import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from slimcast.data import mnist
from slimcast.data.digits import load as load_digits
from slimcast.data.idx import read_idx
from slimcast.data.images import resized
from slimcast.data.load import image_size_for, load_data
from slimcast.data.samples import write_samples
from slimcast.errors import DataError
from slimcast.recipe.subject import DataSpec


def test_digits_are_split_once_for_all_by_class():
    data = load_digits(Path())
    assert len(data.train_labels) + len(data.test_labels) == 1797
    assert 440 <= len(data.test_labels) <= 460
    assert data.train_images.max() == 255
    assert data.train_images.dtype == np.uint8
    shares = np.bincount(data.test_labels) / np.bincount(np.r_[data.train_labels, data.test_labels])
    assert np.allclose(shares, 0.25, atol=0.01)
    again = load_digits(Path())
    assert np.array_equal(again.test_images, data.test_images)


def test_no_held_out_digit_was_trained_on():
    data = load_digits(Path())
    trained = {image.tobytes() for image in data.train_images}
    assert not [image for image in data.test_images if image.tobytes() in trained]


def test_resizing_keeps_the_picture():
    data = load_digits(Path())
    large = resized(data, 32)
    assert large.train_images.shape == (len(data.train_labels), 32, 32, 1)
    assert abs(float(large.train_images.mean()) - float(data.train_images.mean())) < 3


def test_subsets_are_always_the_same_images(tmp_path):
    one = load_data(DataSpec(name="digits", train_samples=100, test_samples=50), root=tmp_path)
    two = load_data(DataSpec(name="digits", train_samples=100, test_samples=50), root=tmp_path)
    assert one.train_images.shape[0] == 100
    assert np.array_equal(one.train_images, two.train_images)


def test_the_size_is_the_larger_of_data_and_network():
    assert image_size_for("lenet5", "digits", None) == 32
    assert image_size_for("lenet5", "digits", 48) == 48


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_plain_and_gzipped(tmp_path, packed):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(_idx(array)) if packed else _idx(array))
    assert np.array_equal(read_idx(path, 3), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0", "cut off"),
        (struct.pack(">IIII", 1234, 2, 3, 4) + bytes(24), "magic 2051, found 1234"),
        (struct.pack(">IIII", 2051, 2, 3, 4) + bytes(20), "promises 24 bytes"),
    ],
)
def test_a_damaged_idx_file_says_what_was_expected(tmp_path, content, message):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_damaged_gzip_file_names_its_path(tmp_path):
    path = tmp_path / "broken.gz"
    path.write_bytes(gzip.compress(bytes(1000))[:-9])
    with pytest.raises(DataError, match=r"broken\.gz"):
        read_idx(path, 1)


def test_a_missing_mnist_says_which_files_to_put_where(tmp_path, monkeypatch):
    # The network is a port: here there is none.
    torchvision = pytest.importorskip("torchvision.datasets")

    def unreachable(*args, **kwargs):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(torchvision, "MNIST", unreachable)
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz into .*raw"):
        mnist.load(tmp_path)


def test_mnist_of_the_wrong_size_is_refused(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"):
        (folder / name).write_bytes(_idx(np.zeros((3, 28, 28), np.uint8)))
    for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / name).write_bytes(_idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="expected \\(60000, 28, 28\\)"):
        mnist.load(tmp_path)


def test_the_real_mnist():
    root = os.environ.get("SLIMCAST_DATA_ROOT")
    if not root or not (Path(root) / "MNIST" / "raw").is_dir():
        pytest.skip("SLIMCAST_DATA_ROOT names no folder with MNIST/raw")
    data = mnist.load(Path(root))
    assert data.train_images.shape == (60_000, 28, 28, 1)
    assert data.mean == pytest.approx((0.1307,), abs=1e-4)
    assert data.std == pytest.approx((0.3081,), abs=1e-4)


def test_samples_hold_the_held_out_images_and_their_labels(tmp_path):
    path = tmp_path / "folder" / "digits.npz"
    data = load_digits(tmp_path)
    assert write_samples(DataSpec(name="digits"), path, root=tmp_path) == len(data.test_labels)
    with np.load(path, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["images"], data.test_images)
        assert list(stored["labels"]) == [data.labels[index] for index in data.test_labels]
