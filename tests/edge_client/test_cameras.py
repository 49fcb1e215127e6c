import sys
import threading
import time
import types

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from slimcast_edge.artifact import InputSpec
from slimcast_edge.camera import CAMERAS, Frame, open_camera
from slimcast_edge.camera.images import label_of
from slimcast_edge.camera.pace import Pace
from slimcast_edge.camera.yuv import yuv420_to_rgb
from slimcast_edge.errors import CameraError, UnknownKind
from slimcast_edge.preprocess import prepare

DIGITS = np.random.default_rng(2).integers(0, 256, (4, 32, 32), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Four labelled images."""
    for number, digit in enumerate(DIGITS):
        Image.fromarray(digit).save(tmp_path / f"{number}_test.png")
    return tmp_path


class FakeRequest:
    """A captured pair of pictures of the stand-in."""

    def __init__(self, owner):
        self._owner = owner

    def make_array(self, stream):
        width, height = self._owner.config[stream]["size"]
        if self._owner.config[stream]["format"] == "YUV420":
            return np.full((height * 3 // 2, width + 64), 128, np.uint8)  # rows are padded
        return np.full((height, width, 3), 200, np.uint8)

    def get_metadata(self):
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 50_000_000}

    def release(self):
        self._owner.out -= 1


class FakePicamera2:
    """Stands in for the hardware at its library's own interface."""

    opened = 0

    def __init__(self, index):
        if index > 0:
            raise IndexError("list index out of range")
        FakePicamera2.opened += 1
        self.calls, self.out = [], 0

    def create_video_configuration(self, main, lores, controls, buffer_count):
        assert controls["FrameRate"] > 0
        return {"main": main, "lores": lores, "buffers": buffer_count}

    def configure(self, config):
        self.config = config

    def start(self):
        self.calls.append("start")

    def capture_request(self):
        assert self.out == 0, "the last request was never released"
        self.out += 1
        return FakeRequest(self)

    def stop(self):
        self.calls.append("stop")

    def close(self):
        self.calls.append("close")


@pytest.fixture
def pi(monkeypatch):
    """Put the stand-in where Raspberry Pi OS has the real module."""
    module = types.ModuleType("picamera2")
    module.Picamera2 = FakePicamera2
    monkeypatch.setitem(sys.modules, "picamera2", module)


@pytest.fixture
def video(tmp_path):
    """A short video of ten grey frames that become brighter."""
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install slimcast[video]")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
    for level in range(10):
        writer.write(np.full((48, 64, 3), (0, 0, 20 * level), np.uint8))  # BGR: red
    writer.release()
    return path


@pytest.fixture(params=CAMERAS.names())
def any_camera(request):
    """Open a camera of each kind."""
    kind = request.param
    if kind == "picamera2":
        request.getfixturevalue("pi")
        options = {"width": 96, "height": 64, "small_width": 48, "small_height": 32}
    elif kind == "video":
        options = {"source": str(request.getfixturevalue("video")), "fps": 0}
    elif kind == "folder":
        options = {"path": request.getfixturevalue("folder"), "fps": 0}
    else:
        options = {"source": request.getfixturevalue("folder"), "fps": 0}
    camera = open_camera(kind, **options)
    yield camera
    camera.close()


def test_every_camera_gives_numbered_rgb_frames_and_closes(any_camera):
    frames = [any_camera.read() for _ in range(12)]
    assert [frame.number for frame in frames] == list(range(12))
    for frame in frames:
        assert isinstance(frame, Frame)
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.ndim == 3
        assert frame.pixels.shape[2] == 3
        assert abs(frame.captured_at - time.time()) < 60
    any_camera.close()
    with pytest.raises(CameraError):
        any_camera.read()


def test_the_folder_s_labels_and_its_loop(folder):
    camera = open_camera("folder", path=folder, fps=0)
    assert [camera.read().expected for _ in range(6)] == ["0", "1", "2", "3", "0", "1"]


def test_a_damaged_image_is_passed_over(folder, caplog):
    (folder / "1_test.png").write_bytes(b"no image")
    camera = open_camera("folder", path=folder, fps=0)
    assert [camera.read().expected for _ in range(4)] == ["0", "2", "3", "0"]
    assert "1_test.png" in caplog.text


def test_nothing_but_damaged_images(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(CameraError, match="None of the folder's images"):
        open_camera("folder", path=tmp_path, fps=0).read()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat_001.png", "cat"),
        ("golden-retriever_1.png", "golden-retriever"),
        ("cat-17.png", "cat"),
        ("x.png", None),
    ],
)
def test_labels_come_from_names(tmp_path, name, label):
    assert label_of(tmp_path / name, tmp_path) == label
    assert label_of(tmp_path / "dog" / name, tmp_path) == "dog"


def test_a_missing_and_an_empty_folder(tmp_path):
    with pytest.raises(CameraError, match="no folder"):
        open_camera("folder", path=tmp_path / "none")
    with pytest.raises(CameraError, match="has no images"):
        open_camera("synthetic", source=tmp_path)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (320, 320)])
def test_the_simulated_camera_shows_what_a_centre_crop_finds(folder, size):
    camera = open_camera("synthetic", source=folder, fps=0, hold=2, width=size[0], height=size[1])
    spec = InputSpec(height=32, width=32, channels=1)
    for number in range(10):
        frame = camera.read()
        index = number // 2 % 4
        assert frame.pixels.shape == (size[1], size[0], 3)
        assert frame.expected == str(index)
        np.testing.assert_array_equal(prepare(frame.pixels, spec)[0, ..., 0], DIGITS[index])


def test_the_simulated_camera_reads_npz(tmp_path):
    path = tmp_path / "digits.npz"
    np.savez(path, images=DIGITS, labels=np.array(["a", "b", "c", "d"]))
    assert open_camera("synthetic", source=path, fps=0).read().expected == "a"
    np.savez(path, images=DIGITS, labels=np.arange(3))
    with pytest.raises(CameraError, match="as many labels"):
        open_camera("synthetic", source=path)
    np.savez(path, images=DIGITS.astype(float), labels=np.arange(4))
    with pytest.raises(CameraError, match="float64"):
        open_camera("synthetic", source=path)
    path.write_bytes(b"rubbish")
    with pytest.raises(CameraError, match="must be an"):
        open_camera("synthetic", source=path)
    np.savez(path, images=np.array([object()]), labels=np.array([1]))
    with pytest.raises(CameraError, match="must be an"):
        open_camera("synthetic", source=path)


def test_a_video_is_red_and_begins_again(video):
    camera = open_camera("video", source=str(video), fps=0)
    levels = [int(camera.read().pixels[..., 0].mean()) for _ in range(11)]
    assert levels[9] > 150 > levels[1]
    assert levels[10] < 20
    assert camera.read().pixels[..., 2].max() < 60
    camera.close()


def test_a_video_that_is_not_there(video, capfd):
    with pytest.raises(CameraError, match="Cannot open"):
        open_camera("video", source=str(video) + ".none")


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CameraError, match=r"pip install slimcast\[video\]"):
        open_camera("video")


def test_the_pi_camera_is_opened_once_and_dates_frames_by_the_sensor(pi):
    FakePicamera2.opened = 0
    camera = open_camera("picamera2", width=96, height=64, small_width=48, small_height=32)
    frame = camera.read()
    assert FakePicamera2.opened == 1
    assert frame.pixels.shape == (64, 96, 3)
    assert frame.small.shape == (32, 48, 3)
    assert abs(frame.small.astype(int) - 128).max() <= 1
    assert time.time() - frame.captured_at >= 0.05
    camera.close()
    camera.close()
    assert camera._camera.calls == ["start", "stop", "close"]


def test_a_pi_camera_that_is_missing_or_has_no_library(pi, monkeypatch):
    with pytest.raises(CameraError, match="rpicam-hello"):
        open_camera("picamera2", index=3)
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="apt install python3-picamera2"):
        open_camera("picamera2")


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [
        ((255, 0, 0), (76, 85, 255)),
        ((0, 255, 0), (150, 44, 21)),
        ((0, 0, 255), (29, 255, 107)),
        ((9, 9, 9), (9, 128, 128)),
    ],
)
def test_yuv_becomes_rgb(rgb, yuv):
    planes = np.zeros((6, 8), np.uint8)
    planes[:4] = yuv[0]
    planes[4] = yuv[1]
    planes[5] = yuv[2]
    colour = yuv420_to_rgb(planes, 4, 4)
    assert colour.shape == (4, 4, 3)
    assert abs(colour.astype(int) - rgb).max() <= 3


def test_wrong_settings_and_kinds():
    with pytest.raises(UnknownKind, match="synthetic"):
        open_camera("periscope")
    with pytest.raises(ValidationError):
        open_camera("picamera2", small_width=1000, width=640)


def test_a_pace_that_is_stopped_waits_no_more():
    pace = Pace(0.001)
    assert pace.wait()
    thread = threading.Timer(0.05, pace.stop)
    thread.start()
    assert not pace.wait()
    thread.join()
