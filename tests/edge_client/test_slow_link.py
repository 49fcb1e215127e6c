"""The real client behind a network that carries little."""

import socket
import threading
import time

import pytest

from slimcast_edge.wire import StreamSettings, ViewLease
from support_artifacts import make_artifact
from support_edge import Device, Studio
from support_wait import wait_for

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


class SlowLink:
    """Stands between a client and its broker; what the client sends goes on at `bytes_per_s` at most."""

    def __init__(self, port):
        self.bytes_per_s = 0  # 0: any
        self._broker = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listening.close()

    def _serve(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            # Set before any byte comes: a window that was large once stays so.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            broker = socket.create_connection(("127.0.0.1", self._broker))
            for source, target, slow in ((client, broker, True), (broker, client, False)):
                threading.Thread(target=self._carry, args=(source, target, slow), daemon=True).start()

    def _carry(self, source, target, slow):
        with source, target:
            try:
                while data := source.recv(4096):
                    target.sendall(data)
                    if slow and self.bytes_per_s:
                        time.sleep(len(data) / self.bytes_per_s)
            except OSError:
                return


@pytest.fixture
def link(broker):
    link = SlowLink(broker.port)
    yield link
    link.close()


@pytest.fixture
def studio(broker):
    studio = Studio(broker.url)
    yield studio
    studio.stop()


@pytest.fixture
def device(link, studio, tmp_path, monkeypatch):
    """Start a client with frames of some ten KB."""
    monkeypatch.setenv("SLIMCAST_EDGE_CAMERA__WIDTH", "640")
    monkeypatch.setenv("SLIMCAST_EDGE_CAMERA__HEIGHT", "480")
    device = Device(tmp_path, link.url, key=studio.public_key, camera_fps=10).start()
    studio.publish(1, make_artifact(name="model"), stream=StreamSettings(quality=90))
    studio.wait_state("active", revision=1)
    yield device
    device.stop()


def test_the_stream_is_lowered_when_the_link_carries_little(studio, link, device):
    def report():
        reports = [telemetry.stream for telemetry in studio.telemetry if telemetry.stream.fps > 0]
        return reports[-1] if reports else None

    studio.send("cmd/view", ViewLease(viewer="test", lease_s=60.0).encode())
    ordered = wait_for(report, "a first report")
    assert ordered.step == 0
    assert (ordered.quality, ordered.width) == (90, 640)
    link.bytes_per_s = 20_000
    lowered = wait_for(lambda: (now := report()).step >= 2 and now, "a lower step")
    assert lowered.quality < 90
    assert lowered.max_fps < 30
    numbers = [result.frame for result in studio.frames]
    assert numbers == sorted(numbers)
