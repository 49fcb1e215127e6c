"""The real client and a real Mosquitto that goes away and comes back."""

import pytest

from slimcast_edge.wire import SnapshotRule, StreamSettings, ViewLease
from support_artifacts import LABELS, make_artifact
from support_edge import Device, Studio
from support_wait import wait_for

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]

ALWAYS = StreamSettings(results="always", snapshots=SnapshotRule(classes=[LABELS[0]], absent_s=3600))


@pytest.fixture
def studio(broker):
    studio = Studio(broker.url)
    yield studio
    studio.stop()


@pytest.fixture
def device(broker, studio, tmp_path):
    """Start a client that is to send its results always."""
    device = Device(tmp_path, broker.url, key=studio.public_key, away_picture_s=0.1).start()
    studio.publish(1, make_artifact(name="model"), stream=ALWAYS)
    studio.wait_state("active", revision=1)
    yield device
    device.stop()


def pictures(device, ending=".jpg"):
    return list((device.state_folder / "snapshots").glob(f"*{ending}"))


def test_what_happened_while_the_broker_was_away_comes_late(broker, studio, device):
    wait_for(lambda: len(studio.results) >= 5 and studio.snapshots, "results and the picture of a class")
    assert not studio.frames, "results alone were asked for"
    assert any(prediction.label == LABELS[0] for prediction in studio.snapshots[0].predictions)
    before = studio.results[-1].frame
    broker.stop()
    wait_for(lambda: len(pictures(device, ".new.jpg")) >= 5, "pictures that the device takes meanwhile")
    wait_for(lambda: not studio.connection.connected)
    studio.results.clear()
    studio.snapshots.clear()
    broker.start()
    assert studio.connection.wait_connected(60)

    def late():
        studio.send("cmd/view", ViewLease(viewer="test", lease_s=5.0, frames=False).encode())
        return [result.frame for result in studio.results if result.late]

    wait_for(lambda: late() and studio.telemetry[-1].stream.kept == 0, "the late results")
    frames = [result.frame for result in studio.results if result.late]
    assert frames == list(range(frames[0], frames[-1] + 1)), "all of them, in their order"
    # What was on its way when the broker died is lost: at most as much as fits into a moment.
    assert before < frames[0] <= before + 60
    assert any(result.frame > frames[-1] for result in studio.results if not result.late)
    wait_for(lambda: not pictures(device, ".new.jpg"), "the pictures to be sent")
    wait_for(lambda: len(studio.snapshots) >= 5, "the pictures to arrive")  # sent is not yet arrived
