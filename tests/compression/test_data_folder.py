"""One's own images in folders: classes, splits, what is refused, in memory and streamed."""

import zlib

import numpy as np
import pytest
from PIL import Image

from slimcast.data import folder as folders
from slimcast.data.files import ImageFiles, decode
from slimcast.data.images import describe
from slimcast.data.load import load_data
from slimcast.data.samples import write_samples
from slimcast.errors import Cancelled, DataError
from slimcast.recipe.subject import DataSpec
from slimcast_edge.artifact import InputSpec
from slimcast_edge.preprocess import prepare
from support_engine import RecordingReporter
from support_folder import COLOURS, colour_of, make_classes, make_set, picture, write

SIZE = InputSpec(height=16, width=16, channels=3)


def _load(path, **options):
    return load_data(DataSpec(name="folder", path=str(path), image_size=16, **options), root=path.parent)


@pytest.fixture(params=["in memory", "streamed"])
def way(request, monkeypatch):
    """Both ways of holding images; tests that use this see no difference."""
    if request.param == "streamed":
        monkeypatch.setattr(folders, "MEMORY_BYTES", 0)
    return request.param


def test_images_come_with_the_label_of_their_folder(tmp_path, way):
    data = _load(make_set(tmp_path / "pets", names=("dog", "cat", "hen")))
    assert data.labels == ("cat", "dog", "hen")
    assert data.train_images.shape == (12, 16, 16, 3)
    assert data.test_images.shape == (6, 16, 16, 3)
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert [colour_of(image) for image in images[:]] == [data.labels[label] for label in labels]
    assert isinstance(data.train_images, ImageFiles) == (way == "streamed")
    assert data.flips


def test_mean_and_deviation_do_not_depend_on_the_way(tmp_path, monkeypatch):
    make_set(tmp_path / "pets")
    held = _load(tmp_path / "pets")
    monkeypatch.setattr(folders, "MEMORY_BYTES", 0)
    streamed = _load(tmp_path / "pets")
    assert (held.mean, held.std) == (streamed.mean, streamed.std)
    assert "read from disk" in streamed.notes[0]


@pytest.mark.parametrize("held", ["val", "valid", "validation", "Test", "testing"])
def test_the_held_out_part_has_one_of_several_names(tmp_path, held):
    data = _load(make_set(tmp_path / "pets", held=held))
    assert len(data.test_labels) == 4
    assert data.validation_labels is None


def test_a_val_folder_beside_test_becomes_the_validation_split(tmp_path, way):
    make_set(tmp_path / "pets")
    make_classes(tmp_path / "pets" / "val", {"cat": 1, "dog": 2})
    data = _load(tmp_path / "pets")
    assert len(data.test_labels) == 4
    assert [colour_of(image) for image in data.validation_images[:]] == ["cat", "dog", "dog"]
    with pytest.raises(DataError, match="validation images of its own"):
        _load(tmp_path / "pets", validation=0.1)


def test_a_flat_folder_is_split_by_class_and_always_the_same_way(tmp_path, way):
    make_classes(tmp_path / "pets", {"cat": 20, "dog": 10})
    data, again = _load(tmp_path / "pets"), _load(tmp_path / "pets")
    assert np.bincount(data.test_labels).tolist() == [4, 2]
    assert np.bincount(data.train_labels).tolist() == [16, 8]
    assert np.array_equal(data.test_images[:], again.test_images[:])


def test_a_folder_around_the_folder_is_stepped_into(tmp_path):
    make_classes(tmp_path / "upload" / "pets-v2", {"cat": 5, "dog": 5})
    assert _load(tmp_path / "upload").labels == ("cat", "dog")


def test_subset_and_validation_are_taken_without_decoding(tmp_path, way):
    make_classes(tmp_path / "pets", {"cat": 20, "dog": 20})
    data = _load(tmp_path / "pets", train_samples=0.5, test_samples=4, validation=4)
    assert np.bincount(data.train_labels).tolist() == [6, 6]
    assert np.bincount(data.validation_labels).tolist() == [2, 2]
    assert np.bincount(data.test_labels).tolist() == [2, 2]
    assert describe(data) == ("12 training, 4 validation, 4 test images of 16x16 pixels, RGB, 2 classes")
    assert [colour_of(image) for image in data.validation_images[:]] == ["cat", "cat", "dog", "dog"]


def test_a_relative_path_lies_below_the_data_root(tmp_path):
    make_set(tmp_path / "uploads" / "pets")
    spec = DataSpec(name="folder", path="uploads/pets", image_size=16)
    assert load_data(spec, root=tmp_path).labels == ("cat", "dog")


def test_grey_images_can_be_asked_for(tmp_path, way):
    data = _load(make_set(tmp_path / "pets"), channels=1)
    assert data.train_images.shape == (8, 16, 16, 1)
    assert len(data.mean) == 1


class TestRefused:
    def test_hidden_files_are_passed_over_in_silence(self, tmp_path):
        make_set(tmp_path / "pets")
        for name in (".DS_Store", "Thumbs.db", ".cache/x.jpg", "__MACOSX/._000.jpg"):
            write(tmp_path / "pets" / "train" / "cat" / name, b"nothing")
        write(tmp_path / "pets" / ".git" / "config", b"nothing")
        assert _load(tmp_path / "pets").notes == ()

    def test_what_is_no_image_is_named(self, tmp_path):
        make_set(tmp_path / "pets")
        write(tmp_path / "pets" / "train" / "cat" / "notes.txt", b"a cat")
        write(tmp_path / "pets" / "train" / "dog" / "fake.jpg", b"GIF89a, not really")
        write(tmp_path / "pets" / "README", b"x")
        write(tmp_path / "pets" / "extra" / "cat" / "0.jpg", picture())
        data = _load(tmp_path / "pets")
        assert len(data.train_labels) == 8
        (note,) = data.notes
        assert note.startswith("4 files are not used")
        for told in (
            "train/cat/notes.txt is no image",
            "train/dog/fake.jpg",
            "README lies",
            "extra/ is none",
        ):
            assert told in note

    def test_the_first_ten_are_named_and_the_rest_counted(self, tmp_path):
        make_set(tmp_path / "pets")
        for number in range(13):
            write(tmp_path / "pets" / "train" / "cat" / f"{number:02d}.txt", b"x")
        (note,) = _load(tmp_path / "pets").notes
        assert "13 files are not used" in note
        assert "09.txt" in note
        assert "10.txt" not in note
        assert note.endswith("and 3 more")

    def test_a_cut_off_image_is_left_out_and_named(self, tmp_path):
        make_set(tmp_path / "pets")
        noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / "whole.jpg")
        content = (tmp_path / "whole.jpg").read_bytes()
        write(tmp_path / "pets" / "train" / "dog" / "cut.jpg", content[: len(content) // 2])
        data = _load(tmp_path / "pets")
        assert len(data.train_labels) == 8
        assert "train/dog/cut.jpg cannot be decoded" in data.notes[0]

    def test_a_streamed_image_that_breaks_later_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr(folders, "MEMORY_BYTES", 0)
        data = _load(make_set(tmp_path / "pets"))
        broken = tmp_path / "pets" / "train" / "dog" / "000.jpg"
        broken.write_bytes(b"gone")
        with pytest.raises(DataError, match=r"dog/000\.jpg is no image.*Replace the file"):
            data.train_images[[0, 4]]

    def test_sixteen_bit_pixels_are_refused(self, tmp_path):
        make_set(tmp_path / "pets")
        path = tmp_path / "pets" / "train" / "cat" / "deep.png"
        Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(path)
        assert "deep.png has pixels of another depth" in _load(tmp_path / "pets").notes[0]

    def test_a_picture_that_would_fill_the_memory_is_refused(self, tmp_path):
        make_set(tmp_path / "pets")
        vast = bytearray(picture(kind="PNG"))
        vast[16:24] = (60_000).to_bytes(4, "big") * 2
        # The checksum of the header, which Pillow compares.
        vast[29:33] = zlib.crc32(vast[12:29]).to_bytes(4, "big")
        write(tmp_path / "pets" / "train" / "cat" / "vast.png", bytes(vast))
        assert "vast.png is too large" in _load(tmp_path / "pets").notes[0]


class TestErrors:
    def test_classes_that_differ_are_named(self, tmp_path):
        make_classes(tmp_path / "pets" / "train", {"cat": 2, "dog": 2})
        make_classes(tmp_path / "pets" / "val", {"cat": 2, "hen": 2})
        with pytest.raises(DataError, match=r"differ: only in train: dog; only in test: hen\. Each class"):
            _load(tmp_path / "pets")

    def test_no_such_folder(self, tmp_path):
        with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
            _load(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        "make", [{"train": {"cat": 2, "dog": 2}}, {"val": {"cat": 2}, "test": {"cat": 2}}]
    )
    def test_a_part_alone_is_not_enough(self, tmp_path, make):
        for part, counts in make.items():
            make_classes(tmp_path / "pets" / part, counts)
        with pytest.raises(DataError, match="Expected train and one of"):
            _load(tmp_path / "pets")

    def test_two_folders_for_one_part(self, tmp_path):
        make_set(tmp_path / "pets", held="val")
        make_classes(tmp_path / "pets" / "validation", {"cat": 1, "dog": 1})
        with pytest.raises(DataError, match="has the folders train, val, validation"):
            _load(tmp_path / "pets")

    @pytest.mark.parametrize(("counts", "told"), [({"cat": 3}, "only 'cat'"), ({}, "it has none")])
    def test_one_class_is_none(self, tmp_path, counts, told):
        make_classes(tmp_path / "pets" / "train", counts).mkdir(parents=True, exist_ok=True)
        make_classes(tmp_path / "pets" / "test", counts).mkdir(parents=True, exist_ok=True)
        with pytest.raises(DataError, match=told):
            _load(tmp_path / "pets")

    def test_a_class_without_an_image_that_can_be_read(self, tmp_path, way):
        make_set(tmp_path / "pets", names=("cat", "dog"))
        for path in (tmp_path / "pets" / "train" / "dog").iterdir():
            path.write_bytes(b"no image")
        with pytest.raises(DataError, match=r"no image of the class 'dog'.*4 files are not used.*000\.jpg"):
            _load(tmp_path / "pets")

    def test_nothing_to_test_with(self, tmp_path):
        make_set(tmp_path / "pets", test=0)
        for name in ("cat", "dog"):
            (tmp_path / "pets" / "test" / name).mkdir(parents=True)
        with pytest.raises(DataError, match="no image for test"):
            _load(tmp_path / "pets")

    def test_reading_can_be_cancelled(self, tmp_path):
        make_set(tmp_path / "pets")
        reporter = RecordingReporter(cancel_when=(0, "started"))
        reporter.step(0, "train", "started")
        with pytest.raises(Cancelled):
            load_data(DataSpec(name="folder", path="pets"), root=tmp_path, reporter=reporter)


class TestDecoding:
    def test_the_rule_is_the_cameras(self, tmp_path):
        pixels = np.random.default_rng(1).integers(0, 255, (60, 90, 3)).astype(np.uint8)
        path = tmp_path / "a.png"
        Image.fromarray(pixels).save(path)
        images, failed = decode([path], SIZE)
        assert not failed
        assert np.array_equal(images[0], prepare(pixels, SIZE)[0])

    def test_a_large_jpeg_decoded_small_looks_the_same(self, tmp_path):
        ramp = np.add.outer(np.arange(480), np.arange(640))[..., None] * np.array([0.2, 0.1, 0.05])
        pixels = ramp.astype(np.uint8)
        path = tmp_path / "a.jpg"
        Image.fromarray(pixels).save(path, quality=95)
        images, _ = decode([path], SIZE)
        assert np.abs(images[0].astype(int) - prepare(pixels, SIZE)[0].astype(int)).max() <= 4

    def test_a_turned_photograph_stands_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to show
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[:16] = 255
        path = tmp_path / "a.jpg"
        Image.fromarray(picture).save(path, exif=exif, quality=95)
        images, _ = decode([path], SIZE)
        assert images[0, :, 8:].mean() > 240
        assert images[0, :, :8].mean() < 15

    @pytest.mark.parametrize(
        ("kind", "mode"),
        [("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "1"), ("WEBP", "RGB"), ("BMP", "RGB"),
         ("GIF", "P"), ("JPEG", "CMYK"), ("JPEG", "L")],
    )  # fmt: skip
    def test_every_kind_of_picture_becomes_rgb(self, tmp_path, kind, mode):
        path = write(tmp_path / "x", picture((255, 255, 255), kind=kind, mode=mode))
        images, failed = decode([path], SIZE)
        assert not failed
        assert images.min() > 240

    def test_what_is_transparent_is_white(self, tmp_path):
        path = tmp_path / "a.png"
        Image.new("RGBA", (20, 20), (10, 10, 10, 0)).save(path)
        assert decode([path], SIZE)[0].min() == 255

    def test_parts_are_those_of_the_whole(self, tmp_path):
        paths = [write(tmp_path / f"{name}.jpg", picture(colour)) for name, colour in COLOURS.items()]
        files = ImageFiles(paths, SIZE)
        whole = np.asarray(files)
        assert whole.shape == files.shape == (3, 16, 16, 3)
        assert files.nbytes == whole.nbytes
        for chosen in (slice(1, None), [2, 0], np.array([1, 1]), np.array([True, False, True])):
            assert np.array_equal(files[chosen], whole[chosen])
            assert np.array_equal(files.select(chosen)[:], whole[chosen])
        assert np.array_equal(files[-1], whole[-1])
        assert files[0:0].shape == (0, 16, 16, 3)


def test_samples_of_a_folder(tmp_path, way):
    make_set(tmp_path / "pets", test=3)
    spec = DataSpec(name="folder", path="pets", image_size=16, test_samples=4)
    assert write_samples(spec, tmp_path / "out.npz", root=tmp_path) == 4
    with np.load(tmp_path / "out.npz") as stored:
        assert [colour_of(image) for image in stored["images"]] == list(stored["labels"])
