"""Files that are replaced as a whole."""

import os
import stat

import pytest

from slimcast_edge.durable import write_durably, write_whole

BOTH = pytest.mark.parametrize("write", [write_durably, write_whole])


@BOTH
def test_a_file_is_replaced_and_nothing_is_left_beside_it(write, tmp_path):
    path = tmp_path / "file"
    for content in (b"first", b"the second is longer", b""):
        write(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@BOTH
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_mode_is_what_was_asked_for_whatever_the_umask(write, mode, umask, tmp_path):
    path = tmp_path / "file"
    before = os.umask(umask)
    try:
        write(path, b"x", mode=mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@BOTH
def test_a_file_that_cannot_be_replaced_stays_and_no_draft_does(write, tmp_path):
    taken = tmp_path / "file"
    taken.mkdir()
    (taken / "kept").touch()
    with pytest.raises(OSError, match="directory"):
        write(taken, b"x")
    assert list(tmp_path.iterdir()) == [taken]
    assert (taken / "kept").exists()


def test_a_secret_is_never_readable_by_others_even_while_it_is_written(tmp_path, monkeypatch):
    seen = []
    real = os.fsync

    def looking(descriptor):
        seen.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", looking)
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_durably(path, b"new", mode=0o600)
    assert set(seen) == {0o600}
