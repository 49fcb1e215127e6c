"""How a camera looks: turned, mirrored, a part of the picture; and that it comes back when it was away."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from slimcast_edge.camera import Frame
from slimcast_edge.camera.port import CameraSettings
from slimcast_edge.camera.view import seen
from slimcast_edge.client import loops
from slimcast_edge.client.loops import CameraLoop, Source
from slimcast_edge.client.traffic import Traffic
from slimcast_edge.errors import CameraAway, CameraError
from slimcast_edge.frames import encode_jpeg
from slimcast_edge.slots import Slot
from slimcast_edge.wire import CameraView
from support_wait import PATIENCE, wait_for


def _frame(number=0):
    """A picture whose corners can be told apart, and its half-size twin."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:], pixels[20:, 30:] = 10, 20, 30
    return Frame(pixels=pixels, captured_at=0.0, number=number, small=pixels[::2, ::2])


def _corners(pixels):
    """Clockwise from the top left."""
    return [int(pixels[row, column, 0]) for row, column in ((0, 0), (0, -1), (-1, -1), (-1, 0))]


@pytest.mark.parametrize(
    ("view", "shape", "corners"),
    [
        ({}, (40, 60), [10, 20, 30, 0]),
        ({"rotation": 90}, (60, 40), [0, 10, 20, 30]),
        ({"rotation": 180}, (40, 60), [30, 0, 10, 20]),
        ({"rotation": 270}, (60, 40), [20, 30, 0, 10]),
        ({"mirror": True}, (40, 60), [20, 10, 0, 30]),
        ({"rotation": 90, "mirror": True}, (60, 40), [10, 0, 30, 20]),
        ({"region": (0.5, 0, 1, 0.5)}, (20, 30), [20, 20, 20, 20]),
        ({"rotation": 90, "region": (0.5, 0, 1, 0.5)}, (30, 20), [10, 10, 10, 10]),
    ],
)
def test_turned_mirrored_and_cut_without_a_copy(view, shape, corners):
    frame = _frame()
    shown = seen(frame, CameraView(**view))
    assert shown.pixels.shape == (*shape, 3)
    assert shown.small.shape == (shape[0] // 2, shape[1] // 2, 3)
    assert _corners(shown.pixels) == _corners(shown.small) == corners
    assert np.shares_memory(shown.pixels, frame.pixels)
    assert encode_jpeg(shown.pixels).startswith(b"\xff\xd8")


def test_a_view_that_changes_nothing_hands_the_frame_on():
    frame = _frame()
    assert seen(frame, CameraView()) is frame


def test_settings_say_how_a_camera_looks():
    settings = CameraSettings(rotation=90, mirror=True, region=[0, 0, 0.5, 1], exposure_ms=5, gain=2)
    view = CameraView(rotation=90, mirror=True, region=(0, 0, 0.5, 1), exposure_ms=5, gain=2)
    assert settings.view == view
    assert set(CameraView.model_fields) == set(CameraSettings.model_fields)
    for wrong in ({"rotation": 45}, {"region": [0.9, 0, 0.1, 1]}, {"exposure_ms": 0}):
        with pytest.raises(ValidationError):
            CameraSettings(**wrong)
        with pytest.raises(ValidationError):
            CameraView(**wrong)


class _Counter:
    """Counts frames, as the engine does."""

    captured, current = 0, None

    def count_captured(self):
        self.captured += 1


class _Camera:
    """A camera that can be unplugged."""

    waits = False

    def __init__(self, plug):
        self._plug, self.exposures, self.closed = plug, [], False
        if not plug.is_set():
            raise CameraAway("It is not plugged in.")
        plug.cameras.append(self)

    def read(self):
        if not self._plug.is_set():
            raise CameraAway("It has been unplugged.")
        return _frame()

    def expose(self, exposure_ms, gain):
        self.exposures.append((exposure_ms, gain))

    def suit(self, spec, view):
        self._plug.suited.append((spec, view.rotation))

    def close(self):
        self.closed = True


class _Plug(threading.Event):
    """Whether the camera is plugged in, and every camera that was ever opened."""

    def __init__(self):
        super().__init__()
        self.cameras, self.suited = [], []


@pytest.fixture
def running(monkeypatch):
    """A loop around a camera that is not there yet: (loop, plug, slot, what was told)."""
    monkeypatch.setattr(loops, "_FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(loops, "_LAST_RETRY_S", 0.02)
    plug, slot, told, stopping = _Plug(), Slot(), [], threading.Event()
    source = Source(open=lambda: _Camera(plug), view=CameraView(rotation=90, exposure_ms=5), tell=told.append)
    loop = CameraLoop(source, slot, _Counter(), Traffic(), stopping)
    loop.open()
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    yield loop, plug, slot, told
    stopping.set()
    thread.join(10 * PATIENCE)
    assert not thread.is_alive()


def test_a_camera_that_is_away_at_the_start_comes_and_goes_and_comes_back(running):
    loop, plug, slot, told = running
    assert "not plugged in" in loop.trouble
    plug.set()
    first = wait_for(lambda: slot.take(0.1))
    assert loop.trouble == ""
    plug.clear()
    wait_for(lambda: "unplugged" in loop.trouble or "not plugged" in loop.trouble)
    wait_for(lambda: plug.cameras[0].closed)
    plug.set()
    wait_for(lambda: len(plug.cameras) == 2 and not loop.trouble)
    slot.take(0)
    assert wait_for(lambda: slot.take(0.1)).number > first.number  # numbers go on
    assert told == [
        "The camera gives frames again.",
        "It has been unplugged.",
        "The camera gives frames again.",
    ]


def test_another_view_takes_effect_without_opening_the_camera_again(running):
    loop, plug, slot, _ = running
    plug.set()
    assert wait_for(lambda: slot.take(0.1)).pixels.shape == (60, 40, 3)
    loop.look(CameraView(region=(0, 0, 0.5, 0.5), exposure_ms=9, gain=2))
    wait_for(lambda: (frame := slot.take(0.1)) is not None and frame.pixels.shape == (20, 30, 3))
    loop.look(None)  # as its own settings say
    wait_for(lambda: (frame := slot.take(0.1)) is not None and frame.pixels.shape == (60, 40, 3))
    (camera,) = plug.cameras
    assert camera.exposures == [(5, None), (9, 2), (5, None)]


def test_the_camera_is_told_of_each_model_and_view_once(running):
    loop, plug, slot, _ = running
    plug.set()
    wait_for(lambda: slot.take(0.1))
    assert plug.suited == []  # there is no model yet
    first, second = (
        SimpleNamespace(runtime=SimpleNamespace(info=SimpleNamespace(input=name)))
        for name in ("first", "second")
    )
    _Counter.current = first
    try:
        wait_for(lambda: plug.suited == [("first", 90)])
        loop.look(CameraView(rotation=180))
        wait_for(lambda: plug.suited[1:] == [("first", 180)])
        _Counter.current = second
        wait_for(lambda: plug.suited[2:] == [("second", 180)])
        plug.clear()
        wait_for(lambda: loop.trouble)
        plug.set()  # another camera object, which knows nothing yet
        wait_for(lambda: plug.suited[3:] == [("second", 180)])
    finally:
        _Counter.current = None


def test_a_camera_that_will_not_come_by_itself_ends_the_start():
    def fails():
        raise CameraError("There is no such folder.")

    loop = CameraLoop(Source(open=fails), Slot(), _Counter(), Traffic(), threading.Event())
    with pytest.raises(CameraError, match="no such folder"):
        loop.open()
