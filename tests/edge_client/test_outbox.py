"""Results and frames on their way out, while the network or the encoder takes its time."""

import gc
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from slimcast_edge import frames
from slimcast_edge.camera import Frame
from slimcast_edge.client import frame_lane
from slimcast_edge.client import outbox as outbox_module
from slimcast_edge.client.engine import Answer, Loaded
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.outbox import Outbox, OutboxOptions
from slimcast_edge.client.results import MAX_UNSENT
from slimcast_edge.client.snapshots import Album
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.frames import extract
from slimcast_edge.wire import Result, SnapshotRule, StreamSettings, ViewLease, decode
from support_wait import PATIENCE, wait_for

VIEWER = ViewLease(viewer="test", lease_s=60.0, frames=True)
LOADED = Loaded(
    ModelEntry(sha256="a" * 64, name="model"), SimpleNamespace(info=SimpleNamespace(labels=["cat", "dog"]))
)


class Wire:
    """Stands in for the connection: notes what is published; `stuck`: nothing leaves."""

    def __init__(self):
        self.connected, self.stuck, self.number = True, False, 1
        self.results, self.frames, self.snapshots, self.late = [], [], [], []

    def publish(self, topic, payload):
        if not self.connected:
            return None
        if topic.endswith("/result"):
            result = decode(Result, "result", payload)
            (self.late if result.late else self.results).append(result.frame)
        elif topic.endswith("/snapshot"):
            self.snapshots.append(extract(payload)[0].frame)
        else:
            self.frames.append(extract(payload)[0].frame)
        return self

    def is_pending(self, info):
        return self.connected and self.stuck and info is not None

    def goes_away(self):
        self.connected = False

    def comes_back(self):
        self.connected, self.number = True, self.number + 1


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def leases():
    leases = Leases()
    leases.renew(VIEWER)
    return leases


@pytest.fixture
def make_outbox(wire, leases, tmp_path):
    """Return a function that makes an outbox; it can be made again, as after a restart."""

    def make(*, kept=50, **options):
        album = Album(tmp_path / "snapshots", kept=kept)
        options = OutboxOptions(**options)
        return Outbox(wire, leases, album, identity=("lab", "cam1", "s" * 16), options=options)

    return make


@pytest.fixture
def outbox(make_outbox):
    return make_outbox()


@pytest.fixture
def encodes(monkeypatch):
    """Return a list with an entry for each JPEG that was encoded."""
    made = []
    encode = frames.encode_jpeg

    def counted(*args, **options):
        made.append(args)
        return encode(*args, **options)

    monkeypatch.setattr(frames, "encode_jpeg", counted)
    return made


def nobody_watches(leases):
    leases.renew(ViewLease(viewer="test", lease_s=0.01))
    wait_for(lambda: not leases.wanted()[0])


def settle(outbox):
    """Let everything out that can go now."""
    for _ in range(300):
        outbox.run_once(0)


def classified(number, *, best=((1, 0.75), (0, 0.25))):
    frame = Frame(pixels=np.zeros((48, 64, 3), np.uint8), captured_at=1.0 + number, number=number)
    return Classified(frame, Answer(LOADED, best, 1.5, 2.0))


CAT, DOG = ((0, 0.9), (1, 0.1)), ((1, 0.9), (0, 0.1))


def test_every_result_leaves_and_the_frame_shows_the_newest(outbox, wire):
    for number in range(3):
        outbox.put(classified(number))
    assert outbox.run_once(0)
    assert (wire.results, wire.frames) == ([0, 1, 2], [2])


def test_no_result_is_lost_while_a_frame_takes_seconds_to_encode(outbox, wire, monkeypatch):
    """As the first one does on a busy board, since the encoder is loaded for it."""
    began, go_on = threading.Event(), threading.Event()
    encode = frame_lane.encode_frame

    def slow(*args, **options):
        began.set()
        assert go_on.wait(60 * PATIENCE)
        return encode(*args, **options)

    monkeypatch.setattr(frame_lane, "encode_frame", slow)
    publisher = threading.Thread(target=lambda: [outbox.run_once(60), outbox.run_once(60)], daemon=True)
    publisher.start()
    outbox.put(classified(0))
    assert began.wait(60 * PATIENCE)
    for number in range(1, 1000):  # half a minute of a camera
        outbox.put(classified(number))
    go_on.set()
    wait_for(lambda: len(wire.results) == 1000)
    assert wire.results == list(range(1000))


def test_pictures_that_wait_are_not_kept(outbox):
    pictures = []
    for number in range(5):
        item = classified(number)
        pictures.append(weakref.ref(item.frame.pixels))
        outbox.put(item)
        del item
    gc.collect()
    assert [picture() is not None for picture in pictures] == [False, False, False, False, True]


def test_nothing_is_kept_while_nobody_watches(outbox, wire, leases):
    nobody_watches(leases)
    outbox.put(classified(0))
    assert outbox.run_once(0)
    assert (wire.results, wire.frames) == ([], [])


def test_a_snapshot_is_sent_though_nobody_watches(outbox, wire, leases):
    nobody_watches(leases)
    done = []
    outbox.request_snapshot(done.append)
    outbox.put(classified(7))
    outbox.run_once(0)
    settle(outbox)
    assert (wire.results, wire.frames, wire.snapshots, done) == ([], [], [7], [7])


def test_a_frame_that_was_asked_for_is_sent_once_though_nobody_watches(outbox, wire, leases):
    nobody_watches(leases)
    outbox.request_frame()
    for number in range(3):
        outbox.put(classified(number))
        outbox.run_once(0)
    settle(outbox)
    assert (wire.results, wire.frames, wire.snapshots) == ([], [0], [])


class TestWithoutPictures:
    @pytest.mark.parametrize("how", ["lease", "stream"])
    def test_results_flow_and_no_jpeg_is_encoded(self, outbox, wire, leases, encodes, how):
        if how == "lease":
            leases.renew(ViewLease(viewer="test", lease_s=60.0, frames=False))
        else:
            nobody_watches(leases)
            outbox.streams[""].order = StreamSettings(results="always")
        for number in range(20):
            outbox.put(classified(number))
            outbox.run_once(0)
        assert (wire.results, wire.frames, encodes) == (list(range(20)), [], [])

    def test_a_picture_is_encoded_once_for_a_viewer(self, outbox, wire, encodes):
        outbox.put(classified(0))
        outbox.run_once(0)
        assert (len(wire.frames), len(encodes)) == (1, 1)


class TestWhileTheBrokerIsAway:
    def test_results_wait_and_come_in_order_once_somebody_listens(self, outbox, wire, leases):
        wire.goes_away()
        for number in range(200):
            outbox.put(classified(number))
            outbox.run_once(0)
        wire.comes_back()
        settle(outbox)
        assert wire.late == [], "who listens may not be back yet"
        leases.renew(VIEWER)
        outbox.put(classified(200))
        settle(outbox)
        assert wire.late == list(range(200))
        assert wire.results == [200], "new ones do not wait for the old"
        assert outbox.late[1] == 0

    def test_without_a_viewer_they_come_when_all_have_had_the_time(self, outbox, wire, leases, monkeypatch):
        nobody_watches(leases)
        outbox.streams[""].order = StreamSettings(results="always")
        wire.goes_away()
        outbox.put(classified(0))
        outbox.run_once(0)
        wire.comes_back()
        settle(outbox)
        assert wire.late == []
        monkeypatch.setattr(outbox_module, "LATE_AFTER_S", 0.0)
        settle(outbox)
        assert wire.late == [0]

    def test_the_oldest_go_when_there_are_too_many(self, make_outbox, wire, leases):
        outbox = make_outbox(kept_results=10)
        wire.goes_away()
        for number in range(25):
            outbox.put(classified(number))
        outbox.run_once(0)
        assert outbox.late == (10, 15)
        wire.comes_back()
        outbox.run_once(0)
        leases.renew(VIEWER)
        settle(outbox)
        assert wire.late == list(range(15, 25))

    def test_no_frame_is_encoded_and_none_comes_later(self, outbox, wire, encodes):
        wire.goes_away()
        for number in range(5):
            outbox.put(classified(number))
            outbox.run_once(0)
        assert encodes == []

    def test_frames_go_on_though_the_last_one_never_left(self, outbox, wire):
        wire.stuck = True
        outbox.put(classified(0))
        outbox.run_once(0)
        wire.goes_away()
        wire.comes_back()
        outbox.put(classified(1))
        outbox.run_once(0)
        assert wire.frames == [0, 1]

    def test_pictures_that_were_taken_meanwhile_come_later_even_after_a_restart(
        self, make_outbox, wire, leases
    ):
        outbox = make_outbox(away_picture_s=1e-9)
        wire.goes_away()
        for number in range(3):
            outbox.put(classified(number))
            outbox.run_once(0)
        wire.comes_back()
        again = make_outbox()
        again.run_once(0)
        leases.renew(VIEWER)
        settle(again)
        assert wire.snapshots == [0, 1, 2]
        settle(make_outbox())
        assert wire.snapshots == [0, 1, 2], "what a broker has taken is not sent again"


class TestAStuckLink:
    """A broker that takes our bytes no more: nothing piles up, here or in the MQTT library."""

    def test_a_minute_of_it_costs_few_bytes(self, make_outbox, wire, encodes):
        outbox = make_outbox(kept_results=1000)
        wire.stuck = True
        kept = []
        for number in range(30 * 60):
            item = classified(number)
            kept.append(weakref.ref(item.frame.pixels))
            outbox.put(item)
            del item
            outbox.run_once(0)
        gc.collect()
        assert len(encodes) == len(wire.frames) == 1
        assert len(wire.results) == MAX_UNSENT
        assert outbox.late[0] == 1000
        assert sum(picture() is not None for picture in kept) <= 1
        wire.stuck = False
        outbox.put(classified(1800))
        outbox.run_once(0)
        assert wire.frames[-1] == 1800, "the newest frame, not the oldest"

    def test_rate_quality_and_width_are_lowered_and_told(self, outbox, wire):
        outbox.streams[""].order = StreamSettings(max_fps=30, quality=80, width=64)
        lane = outbox.streams[""].lane
        for _ in range(3):
            lane._pace.note(0.5)
        lane._frame_width = 64
        report = outbox.reports(1.0)[""]
        assert report.step == 1
        assert report.quality < 80
        outbox.streams[""].order = StreamSettings(adapt=False)
        assert outbox.reports(1.0)[""].step == 0


class TestPicturesByThemselves:
    RULE = SnapshotRule(classes=["cat"], min_score=0.5, absent_s=10)

    def test_one_is_taken_when_the_class_appears(self, outbox, wire, leases, tmp_path):
        nobody_watches(leases)
        outbox.streams[""].order = StreamSettings(snapshots=self.RULE)
        for number, best in enumerate([DOG, CAT, CAT, DOG, CAT]):
            outbox.put(classified(number, best=best))
            settle(outbox)
        assert wire.snapshots == [1]
        assert (wire.results, wire.frames) == ([], [])
        assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [
            "000000000002000-000000000001.jpg"
        ]

    def test_the_kept_ones_are_sent_again_on_request(self, outbox, wire):
        for number in range(4):
            outbox.request_snapshot(lambda _: None)
            outbox.put(classified(number))
            settle(outbox)
        wire.snapshots.clear()
        assert outbox.send_again(2) == 2
        settle(outbox)
        assert wire.snapshots == [2, 3]

    def test_a_request_is_one_picture_however_many_frames_come_meanwhile(self, outbox, wire):
        done = []
        outbox.request_snapshot(done.append)
        for number in range(5):
            outbox.put(classified(number))
        outbox.request_snapshot(done.append)
        outbox.put(classified(5))
        settle(outbox)
        assert (wire.snapshots, done) == ([0, 5], [0, 5])

    def test_without_a_place_on_disk_they_are_sent_all_the_same(self, make_outbox, wire, tmp_path):
        (tmp_path / "snapshots").write_text("in the way")
        outbox = make_outbox()
        outbox.request_snapshot(lambda _: None)
        outbox.put(classified(0))
        settle(outbox)
        assert wire.snapshots == [0]
