"""Pictures that a device keeps: when they are taken, and how many there may be."""

import pytest

from slimcast_edge.client.snapshots import Album, Appearances
from slimcast_edge.wire import Result, SnapshotRule

RULE = SnapshotRule(classes=["cat", "fox"], min_score=0.5, absent_s=10)


def result(number):
    return Result(
        session="s", frame=number, captured_at=number, classified_at=1, latency_ms=1, artifact="a",
        predictions=[],
    )  # fmt: skip


class TestAppearances:
    @pytest.fixture
    def at(self):
        """Return a function: what is seen at a second, and whether something appears."""
        now = [0.0]
        appearances = Appearances(lambda: now[0])

        def look(second, *seen, rule=RULE):
            now[0] = second
            return appearances.look(rule, seen)

        return look

    def test_a_class_appears_once_as_long_as_it_stays(self, at):
        assert at(0, ("cat", 0.9))
        assert not any(at(second, ("cat", 0.9)) for second in range(1, 100))

    def test_flicker_is_no_new_appearance(self, at):
        assert [at(s, ("cat", 0.9 if s % 2 else 0.1)) for s in range(6)] == [False, True] + [False] * 4

    def test_after_its_absence_it_appears_again(self, at):
        assert at(0, ("cat", 0.9))
        assert not at(9.9, ("cat", 0.9))
        assert at(20, ("cat", 0.9))

    def test_each_class_counts_for_itself_and_others_do_not(self, at):
        assert at(0, ("cat", 0.9))
        assert at(1, ("cat", 0.6), ("fox", 0.5))
        assert not at(2, ("dog", 1.0), ("fox", 0.49))

    def test_a_new_rule_begins_anew(self, at):
        assert at(0, ("cat", 0.9))
        assert at(1, ("cat", 0.9), rule=RULE.model_copy(update={"min_score": 0.4}))
        assert not at(2, ("cat", 0.9), rule=None)


class TestAlbum:
    def test_it_keeps_the_newest(self, tmp_path):
        album = Album(tmp_path / "new" / "folder", kept=3)
        for number in range(10):
            assert album.keep(b"%d" % number, result(number))
        assert [path.read_bytes() for path in album.newest(99)] == [b"7", b"8", b"9"]
        assert [path.read_bytes() for path in album.newest(2)] == [b"8", b"9"]
        assert album.newest(0) == []

    def test_what_was_sent_is_known_after_a_restart(self, tmp_path):
        album = Album(tmp_path, kept=3)
        first, second = (album.keep(b"x", result(number)) for number in (1, 2))
        album.mark_sent(first)
        assert Album(tmp_path, kept=3).unsent() == [second]
        assert len(album.newest(9)) == 2

    def test_none_are_kept_where_none_are_wanted(self, tmp_path):
        assert Album(tmp_path / "no", kept=0).keep(b"x", result(1)) is None
        assert not (tmp_path / "no").exists()

    def test_a_broken_disk_is_logged_and_costs_the_picture_alone(self, tmp_path, caplog):
        (tmp_path / "file").write_text("in the way")
        album = Album(tmp_path / "file", kept=3)
        assert [album.keep(b"x", result(n)) for n in range(5)] == [None] * 5
        assert len(caplog.records) == 3, "the 1st, 2nd and 4th"
        assert album.newest(5) == []
