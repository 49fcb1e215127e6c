import http.server
import importlib
import inspect
import sys
import threading
import time
import types
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from slimcast_edge.artifact import InputSpec
from slimcast_edge.camera import CAMERAS, Frame, open_camera
from slimcast_edge.camera.images import label_of
from slimcast_edge.camera.pace import Pace
from slimcast_edge.camera.yuv import yuv420_to_rgb
from slimcast_edge.errors import CameraAway, CameraError, UnknownKind
from slimcast_edge.frames import encode_jpeg
from slimcast_edge.preprocess import prepare
from slimcast_edge.wire import CameraView
from support_rtsp import RtspServer

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

    def make_array(self, name):
        width, height = self._owner.config[name]["size"]
        if self._owner.config[name]["format"] == "YUV420":
            return np.full((height * 3 // 2, width + 64), 128, np.uint8)  # rows are padded
        return np.full((height, width, 3), 200, np.uint8)

    def get_metadata(self):
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 50_000_000}

    def release(self):
        self._owner.out -= 1


class FakePicamera2:
    """Stands in for the hardware at its library's own interface."""

    opened, busy = 0, False

    def __init__(self, index):
        if index > 0:
            raise IndexError("list index out of range")
        if FakePicamera2.busy:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        FakePicamera2.opened += 1
        self.calls, self.out, self.silent, self.refused, self.adjusted = [], 0, 0, (), {}

    def create_video_configuration(self, main, lores, controls, buffer_count):
        assert controls["FrameRate"] > 0
        streams = {"main": dict(main), "lores": dict(lores)}
        return streams | {"buffer_count": buffer_count, "controls": controls}

    def configure(self, camera_config):
        if camera_config["lores"]["size"] in self.refused:
            raise RuntimeError("lores stream cannot be scaled so far")
        camera_config["lores"].update(self.adjusted)
        self.config = camera_config

    def camera_configuration(self):
        return self.config

    def start(self):
        self.calls.append("start")

    def set_controls(self, controls):
        self.calls.append(controls)

    def capture_request(self, wait):
        assert wait > 0, "a camera whose cable is loose would hang for ever"
        if self.silent:
            self.silent -= 1
            raise TimeoutError
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


class FakeCapture:
    """Stands in for a webcam at OpenCV's interface."""

    def __init__(self, source, *_):
        self.source, self.values, self.there = source, {}, True

    def isOpened(self):
        return self.source != 9

    def set(self, number, value):
        self.values[number] = value
        return True

    def get(self, number):
        import cv2

        age_s = time.clock_gettime(time.CLOCK_MONOTONIC) - 0.05
        return age_s * 1e3 if number == cv2.CAP_PROP_POS_MSEC else 30.0

    def read(self):
        return self.there, np.zeros((48, 64, 3), np.uint8)

    def release(self):
        pass


@pytest.fixture
def webcam(monkeypatch):
    """Put the stand-in in place of OpenCV's capture."""
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install slimcast[video]")
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    return cv2


@pytest.mark.parametrize("source", [0, "0", "/dev/v4l/by-id/usb-cam"])
def test_a_webcam_dates_its_frames_and_says_when_it_is_gone(webcam, source):
    camera = open_camera("video", source=source)
    assert 0.04 < time.time() - camera.read().captured_at < 30
    camera._capture.there = False
    with pytest.raises(CameraAway, match=r"webcam .* plugged in"):
        camera.read()
    with pytest.raises(CameraAway, match="no other program"):
        open_camera("video", source=9)


def test_the_exposure_of_a_webcam(webcam):
    camera = open_camera("video", source=0)
    camera.expose(20, 5)
    assert camera._capture.values[webcam.CAP_PROP_AUTO_EXPOSURE] == 1
    assert camera._capture.values[webcam.CAP_PROP_EXPOSURE] == 200
    assert camera._capture.values[webcam.CAP_PROP_GAIN] == 5
    camera.expose(None, None)
    assert camera._capture.values[webcam.CAP_PROP_AUTO_EXPOSURE] == 3


def test_a_password_in_an_address_is_not_told(webcam, monkeypatch):
    monkeypatch.setattr(FakeCapture, "isOpened", lambda self: False)
    with pytest.raises(CameraAway, match="switched on") as caught:
        open_camera("video", source="rtsp://me:secret@10.0.0.9:554/live?token=secret")
    assert "secret" not in str(caught.value)
    assert "10.0.0.9:554/live" in str(caught.value)


class _Sender(http.server.BaseHTTPRequestHandler):
    """Sends pictures as network cameras do, a few in each connection, then hangs up."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        jpeg = encode_jpeg(np.full((48, 64, 3), (200, 20, 20), np.uint8))
        for _ in range(8):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")

    def log_message(self, *_):
        pass


def test_a_stream_from_the_network_ends_and_can_be_opened_again():
    pytest.importorskip("cv2", reason="needs OpenCV: pip install slimcast[video]")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sender) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for _ in range(2):
                camera = open_camera("video", source=f"http://127.0.0.1:{server.server_port}/live")
                frame = camera.read()
                assert frame.pixels.shape == (48, 64, 3)
                assert frame.pixels[..., 0].mean() > 150 > 60 > frame.pixels[..., 2].mean()
                with pytest.raises(CameraAway, match="gives no more frames"):
                    any(camera.read() is None for _ in range(20))
                camera.close()
        finally:
            server.shutdown()
            thread.join()


RED_AND_BLUE = np.zeros((96, 128, 3), np.uint8)
RED_AND_BLUE[:, :64], RED_AND_BLUE[:, 64:] = (200, 20, 20), (20, 20, 200)


@contextmanager
def rtsp(**options):
    """A camera in the network, and its address for who knows the password."""
    pytest.importorskip("cv2", reason="needs OpenCV: pip install slimcast[video]")
    with RtspServer(RED_AND_BLUE, user="me", password="secret", frames=5, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server, f"rtsp://me:secret@127.0.0.1:{server.port}/live"
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def test_an_rtsp_camera_ends_and_can_be_opened_again():
    with rtsp() as (server, address):
        for _ in range(2):
            camera = open_camera("video", source=address)
            frame = camera.read()
            assert frame.pixels.shape == (96, 128, 3)
            assert abs(frame.pixels.astype(int) - RED_AND_BLUE)[:, (*range(48), *range(80, 128))].max() < 12
            with pytest.raises(CameraAway, match="gives no more frames"):
                any(camera.read() is None for _ in range(20))
            camera.close()
        assert server.methods.count("PLAY") == 2
        with pytest.raises(CameraAway, match="user and password right") as caught:
            open_camera("video", source=address.replace("secret", "wrong"))
        assert "wrong" not in str(caught.value)


def test_an_rtsp_camera_that_stands_still_is_given_up(monkeypatch):
    monkeypatch.setattr("slimcast_edge.camera.video._TIMEOUT_MS", 1000)
    with rtsp(stalls=True) as (_, address):
        camera = open_camera("video", source=address)
        with pytest.raises(CameraAway, match="gives no more frames"):
            any(camera.read() is None for _ in range(20))
        camera.close()


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


def test_a_pi_camera_whose_cable_is_loose_is_started_again_but_not_opened_again(pi):
    camera = open_camera("picamera2", width=96, height=64, small_width=48, small_height=32)
    opened = FakePicamera2.opened
    camera._camera.silent = 2
    for _ in range(2):
        with pytest.raises(CameraAway, match="cable"):
            camera.read()
    assert camera.read().number == 0
    assert FakePicamera2.opened == opened
    assert camera._camera.calls == ["start", "stop", "start", "stop", "start"]
    assert not CAMERAS["picamera2"].reopens


@pytest.mark.parametrize(
    ("board", "layout"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", "YUV420"),
        ("Raspberry Pi 5 Model B Rev 1.0", "BGR888"),
        ("Raspberry Pi Compute Module 5 Rev 1.0", "BGR888"),
        (None, "YUV420"),
    ],
)
def test_the_board_decides_what_the_model_s_picture_comes_as(pi, tmp_path, monkeypatch, board, layout):
    path = tmp_path / "model"
    if board:
        path.write_bytes(board.encode() + b"\0")
    monkeypatch.setattr("slimcast_edge.camera.pi._BOARD", path)
    camera = open_camera("picamera2")
    assert camera._camera.config["lores"]["format"] == layout
    assert camera.read().small.shape == (240, 320, 3)
    forced = open_camera("picamera2", small_format="yuv420")
    assert forced._camera.config["lores"]["format"] == "YUV420"


def test_exposure_is_set_while_the_pi_camera_runs(pi):
    camera = open_camera("picamera2")
    camera.expose(12.5, 2.0)
    camera.expose(8, None)
    camera.expose(None, None)
    assert camera._camera.calls[1:] == [
        {"AeEnable": False, "ExposureTime": 12500, "AnalogueGain": 2.0},
        {"AeEnable": False, "ExposureTime": 8000},
        {"AeEnable": True},
    ]


MODEL = InputSpec(height=96, width=96, channels=3)


def test_the_pi_camera_gives_the_model_what_it_needs_without_being_opened_again(pi):
    camera = open_camera("picamera2")
    opened = FakePicamera2.opened
    assert camera.read().small.shape == (240, 320, 3)
    camera.expose(12.5, None)
    camera.suit(MODEL, CameraView())
    small = camera.read().small
    assert small.shape == (96, 128, 3), "the frame's proportions, and as high as the input"
    camera.suit(MODEL, CameraView())
    camera.suit(MODEL, CameraView(rotation=90))
    assert FakePicamera2.opened == opened
    assert [call for call in camera._camera.calls if isinstance(call, str)] == ["start", "stop", "start"]
    assert camera._camera.config["controls"]["ExposureTime"] == 12500
    assert camera.read().number == 2


def test_sizes_that_the_settings_fix_stay_what_the_model_ever_needs(pi):
    camera = open_camera("picamera2", small_width=48, small_height=32)
    camera.suit(MODEL, CameraView())
    assert camera.read().small.shape == (32, 48, 3)
    assert camera._camera.calls == ["start"]


def test_a_size_that_libcamera_refuses_leaves_the_one_before(pi, caplog):
    camera = open_camera("picamera2")
    camera._camera.refused = ((128, 96),)
    camera.suit(MODEL, CameraView())
    assert "cannot give the model 128 x 96 pixels" in caplog.text
    assert camera.read().small.shape == (240, 320, 3)


def test_what_libcamera_gives_instead_is_what_the_model_sees(pi):
    camera = open_camera("picamera2")
    camera._camera.adjusted = {"size": (160, 112)}
    camera.suit(MODEL, CameraView())
    assert camera.read().small.shape == (112, 160, 3)
    camera.suit(MODEL, CameraView())
    assert camera._camera.calls.count("stop") == 1, "asking again would not give it either"


def test_pictures_of_another_kind_are_not_taken_for_colours(pi, caplog):
    camera = open_camera("picamera2")
    camera._camera.adjusted = {"format": "NV12"}
    with pytest.raises(CameraAway, match="come as NV12, not YUV420"):
        camera.suit(MODEL, CameraView())


def test_the_stand_in_has_the_interface_of_the_real_package():
    real = pytest.importorskip("picamera2", reason="needs picamera2: apt install python3-picamera2")
    for stand_in, whole in (
        (FakePicamera2, real.Picamera2),
        (FakeRequest, importlib.import_module("picamera2.request").CompletedRequest),
    ):
        for name, method in inspect.getmembers(stand_in, inspect.isfunction):
            if name != "__init__":
                _, *taken = inspect.signature(method).parameters
                inspect.signature(getattr(whole, name)).bind(None, **dict.fromkeys(taken))


def test_streams_that_do_not_start_again_are_started_with_the_next_frame(pi):
    camera = open_camera("picamera2")
    camera._camera.refused = ((128, 96), (320, 240))
    with pytest.raises(CameraAway, match="does not start again"):
        camera.suit(MODEL, CameraView())
    assert camera.read().small.shape == (240, 320, 3)


def test_a_busy_pi_camera_is_worth_another_try(pi, monkeypatch):
    monkeypatch.setattr(FakePicamera2, "busy", True)
    with pytest.raises(CameraAway, match=r"busy.*no other program"):
        open_camera("picamera2")
    monkeypatch.setattr(FakePicamera2, "busy", False)
    open_camera("picamera2").close()


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
        open_camera("picamera2", small_width=1000, small_height=240, width=640)
    with pytest.raises(ValidationError, match="both"):
        open_camera("picamera2", small_width=100)


def test_a_pace_that_is_stopped_waits_no_more():
    pace = Pace(0.001)
    assert pace.wait()
    thread = threading.Timer(0.05, pace.stop)
    thread.start()
    assert not pace.wait()
    thread.join()
