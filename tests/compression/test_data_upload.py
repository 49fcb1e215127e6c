"""Uploaded archives: what is sound becomes a data set, and nothing else leaves a trace."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from slimcast.data import unzip
from slimcast.data.load import load_data
from slimcast.data.upload import unpack, uploaded
from slimcast.data.zip_directory import directory_bytes
from slimcast.errors import DataError
from slimcast.recipe.subject import DataSpec
from support_folder import COLOURS, picture

GOOD = {
    f"{part}/{name}/{number}.jpg": picture(COLOURS[name])
    for part in ("train", "test")
    for name in ("cat", "dog")
    for number in range(3)
}


def _zip(*entries: tuple[str | zipfile.ZipInfo, bytes], good=GOOD, method=zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in [*good.items(), *entries]:
            archive.writestr(name, content)
    buffer.seek(0)
    return buffer


def _special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def _reasons(upload) -> dict[str, str]:
    return {item.name: item.reason for item in upload.refused}


EXPECTED = {f"uploads/pets/{name}" for name in GOOD}


def test_a_good_archive_becomes_a_data_set_that_a_recipe_can_name(tmp_path):
    shares = []
    upload = unpack(_zip(), "pets", root=tmp_path, progress=shares.append)
    assert (upload.path, upload.images, upload.labels, upload.refused) == (
        "uploads/pets",
        12,
        ("cat", "dog"),
        (),
    )
    assert _files(tmp_path) == EXPECTED
    assert shares == sorted(shares)
    assert uploaded(tmp_path) == ["uploads/pets"]
    data = load_data(DataSpec(name="folder", path=upload.path), root=tmp_path)
    assert (data.labels, len(data.train_labels), data.notes) == (("cat", "dog"), 6, ())


def test_folders_and_hidden_files_of_the_archive_do_not_count(tmp_path):
    entries = [
        ("__MACOSX/train/cat/._0.jpg", b"x"),
        ("train/cat/.DS_Store", b"x"),
        ("empty/", b""),
        ("old\\", b""),
    ]
    assert unpack(_zip(*entries), "pets", root=tmp_path).refused == ()
    assert _files(tmp_path) == EXPECTED


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "train/../../../evil.jpg",
        "/etc/evil.jpg",
        "C:\\evil.jpg",
        "c:evil.jpg",
        "..\\..\\evil.jpg",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, name):
    upload = unpack(_zip((name, picture())), "pets", root=tmp_path / "data")
    assert list(_reasons(upload).values()) == ["would lie outside the folder"]
    assert _files(tmp_path) == {f"data/{name}" for name in EXPECTED}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path, kind):
    entry = (_special("train/cat/link.jpg", kind), b"/etc/passwd")
    upload = unpack(_zip(entry), "pets", root=tmp_path)
    assert _reasons(upload) == {"train/cat/link.jpg": "is a link or another special file"}
    assert _files(tmp_path) == EXPECTED


@pytest.mark.parametrize("name", ["train/cat/a\nb.jpg", "train/cat/" + "x" * 300, "a/" * 20 + "b.jpg"])
def test_names_that_cannot_be_used_are_refused_and_shown_on_one_line(tmp_path, name):
    (item,) = unpack(_zip((name, picture())), "pets", root=tmp_path).refused
    assert item.reason == "has a name that cannot be used"
    assert item.name.isprintable()
    assert len(item.name) < 250


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"#!/bin/sh", "is no image"),
        (b"", "is no image"),
        (_zip().getvalue(), "is an archive itself"),
        (b"\x1f\x8b\x08" + bytes(20), "is an archive itself"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no image"),
        (picture(size=(300, 300))[:-400], "cannot be decoded"),
        (picture(kind="TIFF"), "is no image"),
    ],
)
def test_what_is_no_sound_image_is_refused(tmp_path, content, reason):
    upload = unpack(_zip(("train/cat/odd.jpg", content)), "pets", root=tmp_path)
    assert _reasons(upload)["train/cat/odd.jpg"].startswith(reason)
    assert _files(tmp_path) == EXPECTED


def test_an_encrypted_file_is_refused(tmp_path):
    content = bytearray(_zip(("train/cat/secret.jpg", picture())).getvalue())
    # The flag, in the file's own record and in the directory.
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.rfind(signature)
        content[at + offset] |= 1
    upload = unpack(io.BytesIO(content), "pets", root=tmp_path)
    assert _reasons(upload) == {"train/cat/secret.jpg": "is encrypted"}


def test_a_damaged_file_is_refused_and_the_rest_stays(tmp_path):
    archive = _zip(("train/cat/hurt.bmp", picture(kind="BMP")), method=zipfile.ZIP_STORED)
    content = bytearray(archive.getvalue())
    content[content.rfind(b"BM") + 200] ^= 255
    upload = unpack(io.BytesIO(content), "pets", root=tmp_path)
    assert _reasons(upload) == {"train/cat/hurt.bmp": "is damaged"}
    assert _files(tmp_path) == EXPECTED


def test_other_compressions_are_refused(tmp_path):
    info = zipfile.ZipInfo("train/cat/a.jpg")
    info.compress_type = zipfile.ZIP_LZMA
    upload = unpack(_zip((info, picture())), "pets", root=tmp_path)
    assert _reasons(upload) == {"train/cat/a.jpg": "is compressed otherwise than by deflate"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_file_of_the_same_name_is_refused(tmp_path):
    entries = [("train/cat/0.jpg", picture()), ("TRAIN/CAT/1.JPG", picture()), ("train/cat", picture())]
    upload = unpack(_zip(*entries), "pets", root=tmp_path)
    assert _reasons(upload) == {
        "train/cat/0.jpg": "is there twice",
        "TRAIN/CAT/1.JPG": "is there twice",
        "train/cat": "has the name of a folder, or lies in a file",
    }
    assert _files(tmp_path) == EXPECTED


def test_what_lies_in_no_class_is_removed_and_named(tmp_path):
    upload = unpack(_zip(("cover.jpg", picture()), ("more/cat/0.jpg", picture())), "pets", root=tmp_path)
    assert _reasons(upload) == {"cover.jpg": "lies in no class", "more/": "is none of train, val and test"}
    assert _files(tmp_path) == EXPECTED


class TestBombs:
    def test_one_that_shrinks_too_much(self, tmp_path):
        bomb = _zip(("train/cat/zeros.jpg", bytes(40 * 2**20)), good={})
        with pytest.raises(DataError, match="images do not shrink so much"):
            unpack(bomb, "pets", root=tmp_path)
        assert _files(tmp_path) == set()

    @pytest.mark.parametrize(
        ("limit", "value", "message"),
        [
            ("_MOST_BYTES", 1000, "would unpack to .* 1,000 are allowed"),
            ("_MOST_FILES", 5, "holds 12 files; 5 are allowed"),
            ("_MOST_DIRECTORY_BYTES", 100, "holds too many files"),
            ("_SPARE_BYTES", 2**62, "the disk has"),
        ],
    )
    def test_too_much(self, tmp_path, monkeypatch, limit, value, message):
        monkeypatch.setattr(unzip, limit, value)
        with pytest.raises(DataError, match=message):
            unpack(_zip(), "pets", root=tmp_path)
        assert _files(tmp_path) == set()

    def test_one_large_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(unzip, "_MOST_FILE_BYTES", 5000)
        upload = unpack(_zip(("train/cat/big.bmp", bytes(6000))), "pets", root=tmp_path)
        assert _reasons(upload) == {"train/cat/big.bmp": "is too large, 6,000 bytes"}

    def test_a_lie_about_the_size_only_cuts_the_file_off(self, tmp_path):
        content = bytearray(_zip(("train/cat/liar.bmp", picture(kind="BMP"))).getvalue())
        at = content.rfind(b"PK\x01\x02")
        struct.pack_into("<L", content, at + 24, 10)
        upload = unpack(io.BytesIO(content), "pets", root=tmp_path)
        assert _reasons(upload) == {"train/cat/liar.bmp": "is damaged"}


class TestArchives:
    @pytest.mark.parametrize(
        "content", [b"", b"not a zip", b"PK\x05\x06", bytes(100_000), _zip().getvalue()[:-30]]
    )
    def test_what_is_no_zip(self, tmp_path, content):
        with pytest.raises(DataError, match="no zip archive"):
            unpack(io.BytesIO(content), "pets", root=tmp_path)
        assert _files(tmp_path) == set()

    def test_a_damaged_directory(self, tmp_path):
        content = bytearray(_zip().getvalue())
        content[content.rfind(b"PK\x01\x02")] = 0
        with pytest.raises(DataError, match="damaged"):
            unpack(io.BytesIO(content), "pets", root=tmp_path)

    def test_the_size_of_the_directory_is_that_of_zipfile(self):
        archive = _zip(("a" * 50, b"x"))
        with zipfile.ZipFile(archive) as opened:
            expected = len(archive.getvalue()) - opened.start_dir - 22
        assert directory_bytes(archive) == expected

    def test_the_size_in_the_larger_record_counts(self):
        end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 7, 7, 123_456_789, 0)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 10, 1)
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 7, 7, 2**32 - 1, 2**32 - 1, 0)
        assert directory_bytes(io.BytesIO(bytes(10) + end64 + locator + end)) == 123_456_789
        with pytest.raises(DataError, match="its end cannot be read"):
            directory_bytes(io.BytesIO(end))

    def test_an_archive_without_classes_says_what_was_expected(self, tmp_path):
        with pytest.raises(
            DataError, match=r"^pets must have a folder for each of two or more classes"
        ) as caught:
            unpack(_zip(("a.jpg", picture()), ("b.txt", b"x"), good={}), "pets", root=tmp_path)
        assert "b.txt is no image" in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
        assert _files(tmp_path) == set()

    def test_classes_that_differ(self, tmp_path):
        with pytest.raises(DataError, match="only in test: hen"):
            unpack(_zip(("test/hen/0.jpg", picture())), "pets", root=tmp_path)


class TestNames:
    @pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "x" * 65, "a\n", "ä"])
    def test_a_name_that_cannot_be_used(self, tmp_path, name):
        with pytest.raises(DataError, match="cannot be the name"):
            unpack(_zip(), name, root=tmp_path)
        assert _files(tmp_path) == set()

    def test_an_existing_set_is_replaced_only_when_told(self, tmp_path):
        unpack(_zip(), "pets", root=tmp_path)
        other = {name.replace("dog", "hen"): content for name, content in GOOD.items()}
        with pytest.raises(DataError, match="already is a data set uploads/pets"):
            unpack(_zip(good=other), "pets", root=tmp_path)
        assert _files(tmp_path) == EXPECTED
        assert unpack(_zip(good=other), "pets", root=tmp_path, replace=True).labels == ("cat", "hen")
        assert _files(tmp_path) == {name.replace("dog", "hen") for name in EXPECTED}

    def test_a_bad_archive_replaces_nothing(self, tmp_path):
        unpack(_zip(), "pets", root=tmp_path)
        with pytest.raises(DataError):
            unpack(io.BytesIO(b"nothing"), "pets", root=tmp_path, replace=True)
        assert _files(tmp_path) == EXPECTED

    def test_nothing_is_uploaded_yet(self, tmp_path):
        assert uploaded(tmp_path) == []
