"""From the studio to a real client, over the embedded broker: delivery, swap, live frames, and accidents."""

import os
import signal
import threading

import pytest

from slimcast.fleet import FleetHub
from slimcast_edge.errors import Refusal
from slimcast_edge.signing import public_key_to_text
from slimcast_edge.wire import CHUNK_BYTES, DeviceState
from support_artifacts import make_artifact
from support_edge import Device as ClientProcess
from support_wait import PATIENCE, wait_for

pytestmark = pytest.mark.slow

SETTLE_S = 60.0 * PATIENCE
CHUNKS = 20


@pytest.fixture
def client(broker, hub, settings, tmp_path):
    """The real client in a process of its own, online and enrolled."""
    key = public_key_to_text(hub.public_key)
    process = ClientProcess(tmp_path, settings.effective_broker_url, key=key)
    process.start()
    try:
        wait_for(lambda: _reported(hub) and hub.device("cam1").about, "the client to come online")
        yield process
    finally:
        process.stop()


def _reported(hub):
    device = next((device for device in hub.devices() if device.name == "cam1"), None)
    return device.reported if device is not None and device.online else None


def _publish(hub, store, name, **options):
    sha256 = store.artifacts.put(make_artifact(name=name, **options))
    revision = hub.publish("cam1", sha256, name)
    return sha256, hub.wait_settled("cam1", revision, SETTLE_S).reported


def test_models_are_delivered_and_swapped_while_frames_flow(client, hub, store, broker):
    frames, results = [], []
    hub.watch("cam1", "test", frames.append)
    hub.watch_results("cam1", "test", results.append)
    first, reported = _publish(hub, store, "first")
    assert (reported.state, reported.active) == (DeviceState.ACTIVE, first)
    wait_for(lambda: any(packet.result.artifact == first for packet in frames), "frames of the first model")

    second, reported = _publish(hub, store, "second", bias=0.5)
    assert (reported.state, reported.active, reported.previous) == (DeviceState.ACTIVE, second, first)
    wait_for(lambda: any(packet.result.artifact == second for packet in frames), "frames of the second model")
    assert all(packet.result.predictions[0].label == packet.result.expected for packet in frames)
    across = {result.frame: result.artifact for result in list(results)}
    numbers = sorted(across)
    assert {across[numbers[0]], across[numbers[-1]]} == {first, second}
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "a frame without a result"

    broken = store.artifacts.put(b"this is no ONNX file" * 100)
    refused = hub.wait_settled("cam1", hub.publish("cam1", broken, "broken"), SETTLE_S).reported
    assert (refused.state, refused.active) == (DeviceState.FAILED, second)
    assert refused.reason == Refusal.NOT_AN_ARTIFACT

    os.kill(broker.broker.pid, signal.SIGKILL)  # its supervisor starts it again
    wait_for(lambda: not hub.connected, "the hub to notice")
    count = len(frames)
    wait_for(lambda: len(frames) > count, "frames after the broker has come back")
    third, reported = _publish(hub, store, "third", bias=-0.5)
    assert reported.active == third


class _Gate:
    """Artifact files whose later chunks wait until they are let through, and that notes what is read."""

    def __init__(self, files, free_chunks):
        self._files, self._free = files, free_chunks
        self.opened = threading.Event()
        self.read_chunks = []

    def __getattr__(self, name):
        return getattr(self._files, name)

    def read(self, sha256, offset=0, length=None):
        number = offset // CHUNK_BYTES
        if number >= self._free:
            self.opened.wait(SETTLE_S)
        self.read_chunks.append(number)
        return self._files.read(sha256, offset, length)


@pytest.fixture
def gate(store):
    """Placed before `hub` is made: the first chunks go through, the others wait."""
    store.artifacts = _Gate(store.artifacts, 6)
    yield store.artifacts
    store.artifacts.opened.set()


def test_killed_client_goes_on_with_what_it_has(gate, client, hub, store):
    content = make_artifact(name="large", ballast_bytes=CHUNKS * CHUNK_BYTES)
    sha256 = store.artifacts.put(content)
    revision = hub.publish("cam1", sha256, "large")
    wait_for(lambda: len(gate.read_chunks) >= 6, "the first chunks")
    parts = client.state_folder / "downloads"
    wait_for(lambda: _chunks_on_disk(parts) >= 6, "the first chunks on the client's disk")
    client.kill()
    gate.opened.set()
    client.start()
    settled = hub.wait_settled("cam1", revision, SETTLE_S).reported
    assert (settled.state, settled.active) == (DeviceState.ACTIVE, sha256)
    assert [gate.read_chunks.count(number) for number in range(6)] == [1] * 6, "a chunk was fetched twice"


def _chunks_on_disk(folder):
    return sum(path.read_bytes().count(1) for path in folder.glob("*.map"))


def test_restarted_studio_goes_on_serving(gate, client, hub, store, settings):
    """The first studio dies in the middle of a download; the next one serves the rest unasked."""
    sha256 = store.artifacts.put(make_artifact(name="large", ballast_bytes=CHUNKS * CHUNK_BYTES))
    revision = hub.publish("cam1", sha256, "large")
    wait_for(lambda: len(gate.read_chunks) >= 6, "the first chunks")
    gate.opened.set()
    hub.stop()
    successor = FleetHub(settings, store)
    successor.start()
    try:
        wait_for(lambda: _reported(successor), "the successor to hear of the client")
        assert successor.wait_settled("cam1", revision, SETTLE_S).reported.active == sha256
    finally:
        successor.stop()
