"""The picture on a screen of the device."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from slimcast_edge.camera import Frame
from slimcast_edge.cli import main
from slimcast_edge.client.engine import Answer, Loaded
from slimcast_edge.client.local_view import LocalView
from slimcast_edge.client.loops import Classified
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.errors import PreviewError
from slimcast_edge.preview import WINDOWS, open_window
from slimcast_edge.preview.memory import MemoryWindow
from support_wait import wait_for

LOADED = Loaded(
    ModelEntry(sha256="a" * 64, name="model"), SimpleNamespace(info=SimpleNamespace(labels=["cat", "dog"]))
)


def classified(number=0):
    frame = Frame(pixels=np.full((96, 128, 3), 100, np.uint8), captured_at=1.0, number=number)
    return Classified(frame, Answer(LOADED, ((1, 0.75), (0, 0.25)), 1.5, 2.0))


def test_the_newest_frame_is_shown_with_its_answer_until_the_window_is_closed(caplog):
    caplog.set_level("INFO")
    window = MemoryWindow()
    view = LocalView(window)
    thread = threading.Thread(target=view.run, args=(lambda: False,), daemon=True)
    thread.start()
    view.put(classified(0))
    wait_for(lambda: window.pictures == 1)
    assert (window.newest[:48] == 100).all()
    assert window.newest.max() > 200, "the answer is written at the bottom"
    window.close()
    thread.join(60)
    view.put(classified(1))
    assert window.pictures == 1
    assert "the camera goes on" in caplog.text


def test_it_ends_with_the_client():
    window = MemoryWindow()
    LocalView(window).run(lambda: True)
    assert not window.is_open()


@pytest.mark.parametrize("name", WINDOWS.names())
def test_every_window_has_what_the_port_asks_for(name):
    assert {"show", "is_open", "close"} <= set(dir(WINDOWS[name].load()))


class TestOpenCv:
    @pytest.fixture
    def screen(self, monkeypatch):
        monkeypatch.setenv("DISPLAY", ":7")

    def test_without_a_screen_it_says_what_to_do(self, monkeypatch):
        monkeypatch.setattr(sys, "platform", "linux")
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(PreviewError, match="without --preview"):
            open_window("opencv")

    def test_without_opencv_it_says_what_to_install(self, screen, monkeypatch):
        monkeypatch.setitem(sys.modules, "cv2", None)
        with pytest.raises(PreviewError, match="apt install python3-opencv"):
            open_window("opencv")

    def test_a_headless_opencv_is_told_from_one_with_windows(self, screen):
        cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install opencv-python-headless")
        if "GUI:                           NONE" not in cv2.getBuildInformation():
            pytest.skip("this OpenCV has windows")
        with pytest.raises(PreviewError, match="uninstall -y opencv-python-headless"):
            open_window("opencv")

    def test_it_shows_colours_as_they_are_and_closes_by_key(self, screen, monkeypatch):
        shown, keys = [], [255, ord("q")]
        library = SimpleNamespace(
            WINDOW_NORMAL=0, WND_PROP_VISIBLE=4, COLOR_RGB2BGR=4, error=RuntimeError,
            namedWindow=lambda *_: None, imshow=lambda _, pixels: shown.append(pixels),
            cvtColor=lambda pixels, _: pixels[..., ::-1], waitKey=lambda _: keys.pop(0),
            getWindowProperty=lambda *_: 1.0, destroyAllWindows=lambda: shown.append("closed"),
        )  # fmt: skip
        monkeypatch.setitem(sys.modules, "cv2", library)
        window = open_window("opencv")
        red = np.zeros((4, 4, 3), np.uint8)
        red[..., 0] = 255
        window.show(red)
        window.show(red[..., :1])
        assert [window.is_open(), window.is_open()] == [True, False]
        window.close()
        assert tuple(shown[0][0, 0]) == (0, 0, 255)
        assert shown[1].shape == (4, 4, 1)
        assert shown[2] == "closed"


def test_an_unknown_window_ends_the_run_with_the_known_ones(capsys):
    assert main(["run", "--preview", "hologram"]) == 1
    assert "Known: memory, opencv" in capsys.readouterr().err


def test_a_device_without_a_screen_ends_the_run_with_a_sentence(capsys, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["run", "--preview"]) == 1
    assert "There is no screen" in capsys.readouterr().err
