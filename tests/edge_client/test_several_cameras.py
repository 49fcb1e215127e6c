"""Several cameras in one client: none waits for another, and each is told apart."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from slimcast_edge.camera import Frame
from slimcast_edge.camera.configured import configured
from slimcast_edge.client.cameras import Cameras
from slimcast_edge.client.leases import Leases
from slimcast_edge.client.local_view import LocalView, side_by_side
from slimcast_edge.client.loops import Classified
from slimcast_edge.client.reporter import TROUBLE_CHARS, together
from slimcast_edge.doctor.camera import check_camera
from slimcast_edge.doctor.examine import checks_of
from slimcast_edge.errors import CameraError
from slimcast_edge.preview.memory import MemoryWindow
from slimcast_edge.settings import parse_settings
from slimcast_edge.wire import (
    MAX_CAMERAS,
    MAX_LABEL_BYTES,
    CameraFigures,
    CameraOrder,
    CameraView,
    Desired,
    StreamReport,
    Telemetry,
    ViewLease,
    check_size,
)
from support_artifacts import sample_images
from support_wait import PATIENCE, wait_for

REPORT = StreamReport(fps=5, step=1, max_fps=10, quality=70, width=320, delay_ms=40)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    from PIL import Image

    for number, pixels in enumerate(sample_images()):
        Image.fromarray(pixels[..., 0]).save(folder / f"a_{number}.png")
    return folder


@pytest.fixture
def make_cameras():
    """Return a function that makes cameras from folders by name; their threads end with the test."""
    stopping, threads = threading.Event(), []

    def make(told=None, **folders):
        tables = {name: {"kind": "folder", "path": str(path), "fps": 50} for name, path in folders.items()}
        engine = SimpleNamespace(count_captured=lambda: None, current=None)
        cameras = [configured(name, table) for name, table in tables.items()]
        return Cameras(cameras, engine, stopping, (told if told is not None else []).append)

    def spawn(name, target):
        threads.append(threading.Thread(target=target, name=name, daemon=True))
        threads[-1].start()

    make.spawn = spawn
    yield make
    stopping.set()
    for thread in threads:
        thread.join(30 * PATIENCE)
        assert not thread.is_alive()


def test_one_that_cannot_be_opened_costs_the_other_nothing(make_cameras, images, tmp_path):
    told = []
    cameras = make_cameras(told, left=images, right=tmp_path / "none")
    cameras.open()
    assert "no folder" in cameras.troubles["right"]
    assert cameras.messages[0].startswith("Camera right: There is no folder")
    cameras.start(make_cameras.spawn)
    assert {wait_for(lambda: cameras.frames.take(0.1)).camera for _ in range(5)} == {"left"}
    images.rename(tmp_path / "none")
    wait_for(lambda: not cameras.troubles)
    wait_for(lambda: (frame := cameras.frames.take(0.1)) is not None and frame.camera == "right")
    assert told[-1] == "Camera right: The camera gives frames again."


def test_when_none_can_be_opened_the_start_ends(make_cameras, tmp_path):
    with pytest.raises(CameraError, match="no folder"):
        make_cameras(left=tmp_path / "none", right=tmp_path / "nothing").open()


def test_an_order_for_one_leaves_the_other(make_cameras, images):
    cameras = make_cameras(left=images, right=images)
    cameras.open()
    cameras.start(make_cameras.spawn)

    def turned():
        frames = [wait_for(lambda: cameras.frames.take(0.1)) for _ in range(6)][-2:]
        return {frame.camera: not frame.pixels.flags["C_CONTIGUOUS"] for frame in frames}

    wait_for(lambda: turned() == {"left": False, "right": False})
    view = CameraOrder(view=CameraView(rotation=90))
    cameras.look(Desired(site="lab", device="gate", revision=1, cameras={"left": view}))
    wait_for(lambda: turned() == {"left": True, "right": False})
    cameras.look(Desired(site="lab", device="gate", revision=2, camera=CameraView(mirror=True)))
    wait_for(lambda: turned() == {"left": False, "right": False})


def test_one_that_hangs_is_told_of(make_cameras, images, monkeypatch):
    cameras = make_cameras(left=images, right=images)
    loop = cameras._loops["right"]
    monkeypatch.setattr(type(loop.pulse), "silent_s", property(lambda self: 99.0 * (self is loop.pulse)))
    assert cameras.troubles == {"right": "Its driver hangs since 99 s."}


def test_a_lease_is_for_the_camera_that_it_names():
    leases = Leases()
    leases.renew(ViewLease(viewer="a", lease_s=60, camera="left"))
    leases.renew(ViewLease(viewer="a", lease_s=60, frames=False, camera="right"))
    assert [leases.wanted(camera) for camera in ("left", "right", "top")] == [
        (True, True),
        (True, False),
        (False, False),
    ]
    leases.renew(ViewLease(viewer="b", lease_s=60))
    assert leases.wanted("top") == (True, True)


def test_streams_are_added_up_as_bad_as_they_are():
    other = REPORT.model_copy(update={"fps": 2, "step": 0, "quality": 80, "width": 640, "delay_ms": None})
    both = together([REPORT, other])
    assert (both.fps, both.step, both.quality, both.width, both.delay_ms) == (7, 1, 70, 640, 40)


def test_the_largest_telemetry_fits():
    camera = CameraFigures(
        fps=1 / 3, frames=10**12, dropped=10**12, trouble="\U0001d7d9" * TROUBLE_CHARS,
        stream=REPORT.model_copy(update={"fps": 1 / 3, "max_fps": 1 / 3, "delay_ms": 1000 / 3}),
    )  # fmt: skip
    labels = {f"{number:03}": 10**9 for number in range(100)}
    message = Telemetry(
        session="s" * 64, at=1e9 / 3, uptime_s=1e9 / 3, fps=1 / 3, latency_p50_ms=1 / 3, latency_p90_ms=1 / 3,
        frames=10**12, dropped=10**12, rss_mb=100 / 3, temperature_c=100 / 3, throttled=True, stream=REPORT,
        labels=labels, labels_other=10**12,
        cameras={f"{'n' * 30}-{number}": camera for number in range(MAX_CAMERAS)},
    )  # fmt: skip
    check_size("telemetry", message.encode() + bytes(MAX_LABEL_BYTES - 1800))


def test_the_doctor_checks_each(images, tmp_path):
    tables = {
        "left": {"kind": "folder", "path": str(images)},
        "right": {"kind": "folder", "path": str(tmp_path / "none")},
    }
    settings = parse_settings({"cameras": tables, "state_folder": str(tmp_path)})
    assert [check.name for check in checks_of(settings) if "camera" in check.name] == [
        "camera left",
        "camera right",
    ]
    left, right = (check_camera(settings, name) for name in tables)
    assert left.ok, left
    assert (right.check, right.ok) == ("camera right", False)
    assert "[cameras.right]" in right.advice
    assert [check.name for check in checks_of(parse_settings({}))].count("camera") == 1


def test_the_preview_shows_them_side_by_side(monkeypatch):
    monkeypatch.setattr("slimcast_edge.client.local_view.to_result", lambda item, _: item)
    monkeypatch.setattr("slimcast_edge.client.local_view.overlay.caption", lambda *_: "")
    window = MemoryWindow()
    view = LocalView(window)
    for camera, shape in (("right", (40, 30, 3)), ("left", (20, 50, 3))):
        frame = Frame(pixels=np.full(shape, 200, np.uint8), captured_at=1.0, number=0, camera=camera)
        view.put(Classified(frame, None))
    view.run(lambda: window.pictures > 0)
    assert window.newest.shape == (40, 80, 3)
    assert (window.newest[25:, :50] == 0).all(), "left is lower, and stands first"
    alone = np.ones((4, 5, 3), np.uint8)
    assert side_by_side([alone]) is alone
