"""Several cameras on one device: the real client, the embedded broker and the hub."""

import shutil

import numpy as np
import pytest
import simplejpeg

from slimcast_edge.signing import public_key_to_text
from slimcast_edge.wire import CameraView, DeviceState, StreamSettings
from support_artifacts import make_artifact
from support_edge import Device as ClientProcess
from support_wait import PATIENCE, wait_for

pytestmark = pytest.mark.slow

SETTLE_S = 60.0 * PATIENCE
BOTH = {"cam1/left", "cam1/right"}


@pytest.fixture
def client(broker, hub, settings, store, tmp_path):
    """A client with two cameras, of which the right one finds its folder only once it is there."""
    model = tmp_path / "model.onnx"
    model.write_bytes(make_artifact(name="model"))
    process = ClientProcess(
        tmp_path,
        settings.effective_broker_url,
        key=public_key_to_text(hub.public_key),
        model=str(model),
        cameras={
            "left": {"fps": 20},
            "right": {"kind": "folder", "path": str(tmp_path / "right"), "fps": 10.0},
        },
    ).start()
    try:
        wait_for(lambda: _device(hub) and _device(hub).cameras, "the client to come online")
        wait_for(lambda: hub.device("cam1").telemetry, "its telemetry")
        yield process
    finally:
        process.stop()


def _device(hub):
    return next((device for device in hub.devices() if device.name == "cam1" and device.online), None)


def _shapes(hub, cameras):
    """Height and width of the newest frame of each camera."""
    frames = [hub.latest_frame("cam1", camera) for camera in cameras]
    return [simplejpeg.decode_jpeg_header(frame.jpeg)[:2] for frame in frames]


def test_two_cameras_one_model(client, hub, tmp_path):
    # One that cannot be opened costs the other nothing, and says so.
    packets = []
    stop = hub.watch("cam1", "test", packets.append)
    wait_for(lambda: len(packets) > 5, "frames of the left camera")
    assert {packet.source for packet in packets} == {"cam1/left"}
    figures = wait_for(lambda: hub.device("cam1").telemetry.cameras)
    assert "no folder" in figures["right"].trouble
    assert figures["left"].trouble == ""
    told = [event.message for event in hub.device("cam1").events]
    assert any(message.startswith("Camera right: There is no folder") for message in told)

    # It comes by itself, and the one model answers both, each right.
    shutil.copytree(tmp_path / "images", tmp_path / "right")
    wait_for(
        lambda: {packet.source for packet in packets[-30:]} == BOTH, "frames of both", timeout_s=SETTLE_S
    )
    assert all(packet.result.predictions[0].label == packet.result.expected for packet in packets)
    assert {about.name: about.kind for about in hub.device("cam1").about.cameras} == {
        "left": "synthetic",
        "right": "folder",
    }
    stop()

    # Who watches one has that one sent alone; each has its own numbers.
    right = []
    hub.watch("cam1", "test", right.append, "right")
    wait_for(lambda: len(right) > 5, "frames of the right camera")
    assert {packet.source for packet in right} == {"cam1/right"}
    numbers = [packet.result.frame for packet in right]
    assert numbers == sorted(set(numbers))


def _order(hub, revision):
    settled = hub.wait_settled("cam1", revision, SETTLE_S).reported
    assert (settled.state, settled.revision) == (DeviceState.ACTIVE, revision)


def test_one_camera_is_set_and_handed_back_without_the_other(client, hub, tmp_path):
    shutil.copytree(tmp_path / "images", tmp_path / "right")
    packets = []
    hub.watch("cam1", "test", packets.append)
    wait_for(
        lambda: {packet.source for packet in packets[-30:]} == BOTH, "frames of both", timeout_s=SETTLE_S
    )
    cameras = ("left", "right")
    before = _shapes(hub, cameras)
    assert before[0] == (64, 96)

    _order(hub, hub.set_camera("cam1", CameraView(rotation=90), "left"))
    wait_for(lambda: _shapes(hub, cameras) == [(96, 64), before[1]], "the left one to turn, alone")
    _order(hub, hub.set_stream("cam1", StreamSettings(width=48), "left"))
    wait_for(lambda: _shapes(hub, cameras) == [(72, 48), before[1]], "the left one to shrink, still turned")

    # A kill: what was ordered holds on.
    client.kill()
    client.start()
    newest = hub.latest_frame("cam1", "left").result.session
    wait_for(lambda: hub.latest_frame("cam1", "left").result.session != newest, "frames of the new start")
    assert _shapes(hub, ["left"]) == [(72, 48)]

    _order(hub, hub.set_camera("cam1", None, "left"))
    _order(hub, hub.set_stream("cam1", None, "left"))
    assert hub.device("cam1").desired.cameras == {}
    wait_for(lambda: _shapes(hub, cameras) == before, "its own settings again")

    # Pictures keep the camera's name, also on the device's disk.
    reply = hub.command("cam1", "snapshot", {"camera": "right"}, SETTLE_S)
    assert reply.ok, reply.error
    assert reply.result["camera"] == "right"
    [picture] = wait_for(lambda: hub.snapshots("cam1"), "the picture")
    assert (picture.source, picture.result.frame) == ("cam1/right", reply.result["frame"])
    assert np.prod(simplejpeg.decode_jpeg_header(picture.jpeg)[:2]) > 0
    assert [path for path in (client.state_folder / "snapshots").iterdir() if "-right-" in path.name]
    assert "no such camera" in hub.command("cam1", "snapshot", {"camera": "top"}, SETTLE_S).error
