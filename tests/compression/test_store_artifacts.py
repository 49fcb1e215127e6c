"""Artifact files: named by content, whole or not there, on a local and on a remote file system."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from slimcast.errors import StoreError
from slimcast.store import ArtifactFiles, artifacts

_DATA = bytes(range(256)) * 5000
_SHA256 = hashlib.sha256(_DATA).hexdigest()


@pytest.fixture(params=["local", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactFiles]:
    url = f"file://{tmp_path}/artifacts" if request.param == "local" else "memory://slimcast-test"
    files = ArtifactFiles(url, cache=tmp_path / "cache")
    files.prepare()
    yield files
    if request.param == "memory":
        memory = fsspec.filesystem("memory")
        if memory.exists("/slimcast-test"):
            memory.rm("/slimcast-test", recursive=True)


@pytest.fixture
def local(tmp_path: Path) -> ArtifactFiles:
    files = ArtifactFiles(f"file://{tmp_path}/artifacts", cache=tmp_path / "cache")
    files.prepare()
    return files


def test_put_and_read(files: ArtifactFiles):
    assert not files.exists(_SHA256)
    assert files.put(_DATA) == _SHA256
    assert files.exists(_SHA256)
    assert files.size(_SHA256) == len(_DATA)
    assert files.read(_SHA256) == _DATA
    assert files.read(_SHA256, 1000, 24) == _DATA[1000:1024]
    assert files.read(_SHA256, len(_DATA) - 3, 100) == _DATA[-3:]
    with files.open(_SHA256) as file:
        assert file.read(3) == _DATA[:3]


def test_put_a_file(files: ArtifactFiles, tmp_path: Path):
    source = tmp_path / "model.onnx"
    source.write_bytes(_DATA)
    assert files.put(source) == files.put(source) == _SHA256
    assert source.read_bytes() == _DATA


def test_empty_file(files: ArtifactFiles):
    assert files.size(files.put(b"")) == 0


def test_local_path_has_the_bytes(files: ArtifactFiles):
    assert files.local_path(files.put(_DATA)).read_bytes() == _DATA


def test_local_path_of_local_artifacts_is_the_file_itself(local: ArtifactFiles, tmp_path: Path):
    path = local.local_path(local.put(_DATA))
    assert path == tmp_path / "artifacts" / _SHA256[:2] / _SHA256
    assert [p for p in (tmp_path / "artifacts").rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("call", ["size", "open", "read", "local_path"])
def test_missing_artifact(files: ArtifactFiles, call: str):
    with pytest.raises(StoreError, match=f"{'0' * 64} is not in"):
        getattr(files, call)("0" * 64)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_only_a_sha256_names_an_artifact(files: ArtifactFiles, name: str):
    with pytest.raises(StoreError, match="is no sha256"):
        files.read(name)


def test_damaged_file_is_replaced_by_the_next_put(local: ArtifactFiles):
    path = local.local_path(local.put(_DATA))
    path.write_bytes(_DATA[:-1] + b"x")
    local.put(_DATA)
    assert path.read_bytes() == _DATA


def test_source_that_is_not_there(files: ArtifactFiles, tmp_path: Path):
    with pytest.raises(StoreError, match=r"nothing\.onnx"):
        files.put(tmp_path / "nothing.onnx")


def test_source_that_changes_while_it_is_stored(files: ArtifactFiles, monkeypatch: pytest.MonkeyPatch):
    contents = iter([b"before", b"after"])
    opened = artifacts._open_source
    monkeypatch.setattr(artifacts, "_open_source", lambda _source: opened(next(contents)))
    with pytest.raises(StoreError, match="source changed meanwhile"):
        files.put(b"before")
    assert not files.exists(hashlib.sha256(b"before").hexdigest())
    assert not files.exists(hashlib.sha256(b"after").hexdigest())


def test_damage_on_the_way_from_a_remote_store_is_noticed(tmp_path: Path):
    files = ArtifactFiles("memory://slimcast-damage", cache=tmp_path / "cache")
    files.put(_DATA)
    with fsspec.filesystem("memory").open(f"/slimcast-damage/{_SHA256[:2]}/{_SHA256}", "wb") as file:
        file.write(b"damaged")
    with pytest.raises(StoreError):
        files.local_path(_SHA256)
    assert not list((tmp_path / "cache").rglob(f"{_SHA256}*"))


def test_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="SLIMCAST_ARTIFACT_URL"):
        ArtifactFiles(f"file://{tmp_path}/file/artifacts", cache=tmp_path).prepare()


def test_unknown_file_system(tmp_path: Path):
    with pytest.raises(StoreError, match="SLIMCAST_ARTIFACT_URL=nosuch://x cannot be used"):
        ArtifactFiles("nosuch://x", cache=tmp_path).put(b"x")
