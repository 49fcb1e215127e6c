"""Results and frames on their way out, while the network or the encoder takes its time."""

import gc
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from slimcast_edge.camera import Frame
from slimcast_edge.client import outbox as outbox_module
from slimcast_edge.client.engine import Answer, Loaded
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.outbox import Outbox
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.frames import extract
from slimcast_edge.wire import Result, ViewLease, decode
from support_wait import PATIENCE, wait_for

LOADED = Loaded(
    ModelEntry(sha256="a" * 64, name="model"), SimpleNamespace(info=SimpleNamespace(labels=["cat", "dog"]))
)


class Wire:
    """Stands in for the connection: notes what is published; nothing ever waits to leave."""

    connected = True

    def __init__(self):
        self.results, self.frames = [], []

    def publish(self, topic, payload):
        if topic.endswith("/result"):
            self.results.append(decode(Result, "result", payload).frame)
        else:
            self.frames.append(extract(payload)[0].frame)

    def is_pending(self, _info):
        return False


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def leases():
    leases = Leases()
    leases.renew(ViewLease(viewer="test", lease_s=60.0, frames=True))
    return leases


@pytest.fixture
def outbox(wire, leases):
    return Outbox(wire, leases, site="lab", device="cam1", session="s" * 16)


def classified(number):
    frame = Frame(pixels=np.zeros((48, 64, 3), np.uint8), captured_at=1.0, number=number)
    return Classified(frame, Answer(LOADED, ((1, 0.75), (0, 0.25)), 1.5, 2.0))


def test_every_result_leaves_and_the_frame_shows_the_newest(outbox, wire):
    for number in range(3):
        outbox.put(classified(number))
    assert outbox.run_once(0)
    assert (wire.results, wire.frames) == ([0, 1, 2], [2])


def test_no_result_is_lost_while_a_frame_takes_seconds_to_encode(outbox, wire, monkeypatch):
    """As the first one does on a busy board, since the encoder is loaded for it."""
    began, go_on = threading.Event(), threading.Event()
    encode = outbox_module.encode_frame

    def slow(*args, **options):
        began.set()
        assert go_on.wait(60 * PATIENCE)
        return encode(*args, **options)

    monkeypatch.setattr(outbox_module, "encode_frame", slow)
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
    leases.renew(ViewLease(viewer="test", lease_s=0.05))
    wait_for(lambda: not leases.wanted()[0])
    outbox.put(classified(0))
    assert outbox.run_once(0)
    assert (wire.results, wire.frames) == ([], [])


def test_a_snapshot_is_sent_though_nobody_watches(outbox, wire, leases):
    leases.renew(ViewLease(viewer="test", lease_s=0.05))
    wait_for(lambda: not leases.wanted()[0])
    done = []
    outbox.request_snapshot(done.append)
    outbox.put(classified(7))
    outbox.run_once(0)
    assert (wire.results, wire.frames, done) == ([], [7], [7])
