"""The client stops in under two seconds, whatever hangs in it."""

import threading
import time

import pytest
from PIL import Image

from slimcast_edge.camera.folder import FolderCamera
from slimcast_edge.client import Client
from slimcast_edge.settings import parse_settings
from support_artifacts import make_artifact, sample_images, write_artifact
from support_wait import PATIENCE, wait_for


@pytest.fixture
def hanging(monkeypatch):
    """Cameras whose driver returns neither from reading nor from closing, after three frames."""
    free = threading.Event()
    reading, closing = [], []

    def read(self, original=FolderCamera.read):
        if self._number >= 3:
            reading.append(self)
            free.wait()
        return original(self)

    def close(self):
        closing.append(self)
        free.wait()

    monkeypatch.setattr(FolderCamera, "read", read)
    monkeypatch.setattr(FolderCamera, "close", close)
    yield reading, closing
    free.set()


def test_cameras_that_hang_do_not_hold_it_up(tmp_path, hanging):
    reading, closing = hanging
    for number, pixels in enumerate(sample_images()):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"a_{number}.png")
    model = write_artifact(tmp_path / "m.onnx", make_artifact())
    table = {"kind": "folder", "path": str(tmp_path), "fps": 0}
    document = {
        "broker": "mqtt://127.0.0.1:1",
        "state_folder": str(tmp_path / "state"),
        "model": str(model),
        "cameras": dict.fromkeys(("a", "b", "c", "d"), table),
    }
    client = Client(parse_settings(document))
    client.start()
    wait_for(lambda: len(reading) == 4)
    began = time.monotonic()
    client.stop()
    assert time.monotonic() - began < 2 * PATIENCE
    assert len(closing) == 4
