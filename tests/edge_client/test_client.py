"""The real client process against a real Mosquitto."""

import hashlib
import os
import signal

import numpy as np
import onnx
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import helper

from slimcast_edge.artifact_file import read_info
from slimcast_edge.wire import CameraView, Command, ViewLease
from support_artifacts import finish, make_artifact, make_model
from support_edge import Device, Studio
from support_wait import PATIENCE, wait_for

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]

OLD = make_artifact(name="old")
NEW = make_artifact(name="new", bias=0.5, ballast_bytes=40_000)
SLOW_TO_LOAD_ROUNDS = 40


@pytest.fixture
def studio(broker):
    studio = Studio(broker.url)
    yield studio
    studio.stop()


def device_with_old(broker, studio, folder, **settings):
    """Return a client, not yet started, whose settings name the model "old"."""
    path = folder / "old.onnx"
    path.write_bytes(OLD)
    return Device(folder, broker.url, key=studio.public_key, model=str(path), **settings)


@pytest.fixture
def device(broker, studio, tmp_path):
    """Start a client with the model "old" on its disk, and wait until it has said so."""
    device = device_with_old(broker, studio, tmp_path).start()
    studio.wait_state("active")
    yield device
    device.stop()


def watch(studio, *, lease_s=30.0, frames=False):
    studio.send("cmd/view", ViewLease(viewer="test", lease_s=lease_s, frames=frames).encode())


def assert_classifies_with(studio, name, content_sha):
    """Fresh results come, they are right, and they come from this model."""
    studio.results.clear()
    watch(studio)
    wait_for(
        lambda: len([r for r in studio.results if r.artifact == content_sha]) >= 3, what=f"results of {name}"
    )
    for result in studio.results:
        assert result.predictions[0].label == result.expected


def sha(content):
    return hashlib.sha256(content).hexdigest()


def slow_to_load(seconds_about=1):
    """Return an artifact whose constants take a while to fold at every load."""
    model = make_model()
    size = 700
    shape = onnx.numpy_helper.from_array(np.array([size, size], "int64"), "shape")
    model.graph.initializer.append(shape)
    fill = helper.make_tensor("v", onnx.TensorProto.FLOAT, [1], [1.0 / size])
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["c0"], value=fill)]
    rounds = SLOW_TO_LOAD_ROUNDS * seconds_about
    nodes += [helper.make_node("MatMul", [f"c{i}", "c0"], [f"c{i + 1}"]) for i in range(rounds)]
    nodes += [
        helper.make_node("ReduceMean", [f"c{rounds}"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "offset"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "nothing"], ["zero"]),
        helper.make_node("Add", ["offset", "zero"], ["offset2"]),
    ]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, "float32"), "nothing"))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    model.graph.node[-1].input[2] = "offset2"
    return finish(model, read_info(make_artifact(name="slow")))


def test_it_comes_up_classifies_right_streams_and_leaves(studio, device):
    assert studio.statuses[-1].online
    assert studio.abouts[-1].camera == "synthetic"
    assert studio.abouts[-1].providers == ["CPUExecutionProvider"]
    assert not studio.results, "nobody watches, so nothing flows"
    watch(studio, frames=True)
    wait_for(lambda: len(studio.frames) >= 5 and len(studio.results) >= 5)
    assert all(r.predictions[0].label == r.expected for r in studio.results)
    numbers = [r.frame for r in studio.results]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    wait_for(lambda: [t for t in studio.telemetry if t.fps > 0 and t.latency_p50_ms > 0 and t.rss_mb > 10])
    assert device.stop() == 0
    wait_for(lambda: not studio.statuses[-1].online)


def test_the_camera_looks_as_it_is_ordered(studio, device):
    """A mirrored picture has its bright half on the other side; the same holds after a restart."""
    swapped = {"left": "right", "right": "left"}

    def some():
        watch(studio)  # again and again: a client that starts has not heard the first one
        return len(studio.results) >= 15 and list(studio.results)

    def all_mirrored():
        studio.results.clear()
        seen = wait_for(some)
        return all(swapped.get(r.expected, r.expected) == r.predictions[0].label for r in seen)

    studio.publish(1, OLD, camera=CameraView(mirror=True))
    wait_for(all_mirrored, "mirrored pictures")
    device.stop()
    device.start()
    wait_for(all_mirrored, "mirrored pictures after a restart")
    studio.publish(2, OLD)
    wait_for(lambda: not all_mirrored())
    assert_classifies_with(studio, "old", sha(OLD))


def test_frames_end_with_the_lease(studio, device):

    def first_frame():  # the encoder is loaded for it, which may take longer than this lease
        watch(studio, lease_s=0.3, frames=True)
        return studio.frames

    wait_for(first_frame)
    wait_for(lambda: len(studio.telemetry) >= 1)

    def quiet():
        before = len(studio.frames)
        studio.telemetry.clear()
        wait_for(lambda: len(studio.telemetry) >= 2)
        return len(studio.frames) == before

    wait_for(quiet)


def test_without_a_model_it_waits_and_says_so_and_takes_the_first(broker, studio, tmp_path):
    device = Device(tmp_path, broker.url, key=studio.public_key).start()
    try:
        assert studio.wait_state("idle").active is None
        content_sha = studio.publish(1, NEW)
        assert studio.wait_state("active", revision=1).active == content_sha
        assert_classifies_with(studio, "new", content_sha)
    finally:
        device.stop()


def test_a_new_model_takes_over_and_no_frame_is_lost(studio, device):
    watch(studio)
    wait_for(lambda: len(studio.results) >= 5)
    content_sha = studio.publish(5, NEW, name="new")
    report = studio.wait_state("active", revision=5)
    assert (report.active, report.active_name, report.previous) == (content_sha, "new", sha(OLD))
    wait_for(lambda: studio.results[-1].artifact == content_sha)
    numbers = [r.frame for r in studio.results]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(r.predictions[0].label == r.expected for r in studio.results)
    states = list(dict.fromkeys(r.state for r in studio.reported if r.revision == 5))
    assert states == ["downloading", "verifying", "warming", "probation", "active"]
    assert [e.kind for e in studio.events] == ["swap_started", "swap_finished"]
    assert len(studio.served) == len(set(studio.served)), "each chunk was sent once"
    # One more, and the oldest leaves the disk; then the same order again changes nothing.
    third = studio.publish(6, make_artifact(name="third", bias=1.0))
    studio.wait_state("active", revision=6)
    assert device.models == sorted([content_sha, third])
    events = len(studio.events)
    studio.reported.clear()
    studio.publish(6, make_artifact(name="third", bias=1.0))
    assert studio.wait_state("active", revision=6).active == third
    assert len(studio.events) == events


def wrong_external(_studio):
    model = make_model()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return finish(model, read_info(NEW))


def foreign_operator(_studio):
    model = make_model()
    model.graph.node.append(helper.make_node("Custom", ["logits"], ["more"], domain="evil.example"))
    return finish(model, read_info(NEW))


def unknown_operator(_studio):
    model = make_model()
    model.graph.node[0].op_type = "Wobble"
    return finish(model, read_info(NEW))


def wrong_golden(_studio):
    return finish(make_model(bias=3.0), read_info(NEW))


def no_artifact(_studio):
    return b"PK\3\4 this is a zip" * 100


def truncated(_studio):
    return NEW[: len(NEW) // 2]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (wrong_external, "external_data"),
        (foreign_operator, "unknown_operator"),
        (unknown_operator, "unknown_operator"),
        (wrong_golden, "golden_samples_differ"),
        (no_artifact, "not_an_artifact"),
        (truncated, "not_an_artifact"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_must_not_run_is_refused_while_the_old_model_goes_on(studio, device, make, reason):
    studio.publish(3, make(studio), name="bad")
    report = studio.wait_state("failed", revision=3, reason=reason)
    assert report.active == sha(OLD)
    assert report.message.endswith((".", ")")) or len(report.message) > 20
    assert device.models == [sha(OLD)]
    assert "refused" in [e.kind for e in studio.events]
    assert_classifies_with(studio, "old", sha(OLD))
    # It is not stuck: the next good one is taken.
    good = studio.publish(4, NEW)
    assert studio.wait_state("active", revision=4).active == good


def test_orders_that_are_not_obeyed(studio, device):
    content_sha = studio.publish(10, NEW)
    studio.wait_state("active", revision=10)
    other = make_artifact(name="other", bias=2.0)
    studio.publish(11, other, key=Ed25519PrivateKey.generate())
    studio.wait_state("failed", revision=11, reason="wrong_signature")
    studio.publish(9, other)
    studio.wait_state("failed", revision=9, reason="older_revision")
    studio.publish(10, other)
    studio.wait_state("failed", revision=10, reason="older_revision")
    studio.publish(12, other, device="cam2")
    studio.wait_state("failed", revision=12, reason="wrong_signature")
    forged = studio.order(13, other).model_copy(update={"revision": 14})
    studio.send("desired", forged.encode())
    report = studio.wait_state("failed", revision=14, reason="wrong_signature")
    assert report.active == content_sha
    for junk in (b"{", b"\xff" * 50, b"[]", b'{"revision": 99}', b"null"):
        studio.send("desired", junk)
        studio.send("cmd/view", junk)
        studio.send("cmd/rollback", junk)
    assert_classifies_with(studio, "new", content_sha)
    assert device.saved["revision"] == 10


def test_wrong_bytes_are_refused_by_their_hash(studio, device):
    studio.spoil = True
    studio.publish(3, NEW)
    report = studio.wait_state("failed", revision=3, reason="wrong_hash")
    assert report.active == sha(OLD)
    assert_classifies_with(studio, "old", sha(OLD))


def test_a_stalled_download_fails_and_the_same_order_tries_again(broker, studio, tmp_path):
    device = Device(tmp_path, broker.url, key=studio.public_key, stall_s=0.5 * PATIENCE).start()
    try:
        studio.wait_state("idle")
        studio.mute = True
        studio.publish(1, NEW)
        studio.wait_state("failed", revision=1, reason="download_stalled")
        studio.mute = False
        studio.publish(1, NEW)
        studio.wait_state("active", revision=1)
    finally:
        device.stop()


def test_a_model_that_crashes_its_loader_kills_only_the_trial(studio, device):
    studio.publish(3, slow_to_load(10), chunk_bytes=65536)
    studio.wait_state("warming", revision=3)
    trial = wait_for(lambda: psutil.Process(device.process.pid).children())[0]
    os.kill(trial.pid, signal.SIGSEGV)
    report = studio.wait_state("failed", revision=3, reason="loader_crashed")
    assert "SIGSEGV" in report.message
    assert_classifies_with(studio, "old", sha(OLD))


def test_a_model_that_fails_in_probation_is_rolled_back_and_no_frame_is_lost(broker, studio, tmp_path):
    """It answers its golden samples and breaks on what the camera shows."""
    device = device_with_old(
        broker,
        studio,
        tmp_path,
        probation_s=0.3 * PATIENCE,
        probation_frames=24,  # the camera has shown each of its pictures twice by then
    ).start()
    try:
        studio.wait_state("active")
        watch(studio)
        wait_for(lambda: len(studio.results) >= 5)
        _publish_one_that_breaks_on_dark_images(studio)
        report = studio.wait_state("rolled_back", revision=3, reason="probation_errors")
        assert report.active == sha(OLD)
        assert studio.events[-1].kind == "rolled_back"
        assert device.models == [sha(OLD)]
        assert_classifies_with(studio, "old", sha(OLD))
        numbers = [r.frame for r in studio.results]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    finally:
        device.stop()


def _publish_one_that_breaks_on_dark_images(studio):
    model = make_model()
    # log(mean - 0.2): NaN for dark images only, and no golden sample is dark.
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.2), "low"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.0), "none"))
    model.graph.node[-1].output[0] = "fine"
    model.graph.node.extend(
        [
            helper.make_node("ReduceMean", ["features"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "low"], ["above"]),
            helper.make_node("Log", ["above"], ["maybe"]),
            helper.make_node("Mul", ["maybe", "none"], ["zero"]),
            helper.make_node("Add", ["fine", "zero"], ["logits"]),
        ]
    )
    info = read_info(NEW)
    bright = info.golden.model_copy(update={"samples": info.golden.samples[1:2], "tolerance": 10.0})
    studio.publish(3, finish(model, info.model_copy(update={"golden": bright})))


@pytest.mark.parametrize("state", ["downloading", "verifying", "warming", "probation"])
def test_kill_9_in_any_state_leaves_a_whole_model_and_the_next_start_finishes(
    broker, studio, tmp_path, state
):
    device = device_with_old(broker, studio, tmp_path, probation_s=1.0).start()
    try:
        studio.wait_state("active")
        wait = studio._serve
        if state == "downloading":  # stop halfway
            studio._serve = lambda want: wait(want) if len(studio.served) < 20 else None
        content = make_artifact(name="new", bias=0.5, ballast_bytes=60_000)
        in_the_way = device.state_folder / "models" / f"{sha(content)}.onnx"
        if state == "verifying":  # hold it there: reading a pipe that nobody writes to never ends
            os.mkfifo(in_the_way)
        content_sha = studio.publish(3, content)
        studio.wait_state(state, revision=3)
        if state == "downloading":
            wait_for(lambda: len(studio.served) >= 20)
        device.kill()
        if state == "downloading":
            assert device.saved["state"] == "downloading"
            [kept] = (device.state_folder / "downloads").glob("*.map")
            had = {number for number, is_there in enumerate(kept.read_bytes()) if is_there}
            assert had, "nothing had been kept"
        if state == "verifying":
            in_the_way.unlink()
        studio._serve = wait
        studio.reported.clear()
        studio.results.clear()
        device.start()
        studio.served.clear()
        report = studio.wait_state("active", revision=3)
        assert report.active == content_sha
        assert report.previous == sha(OLD)
        assert_classifies_with(studio, "new", content_sha)
        if state == "downloading":
            assert not had & set(studio.served), "what had arrived was sent again"
    finally:
        device.stop()


def test_dying_twice_in_probation_rolls_back(broker, studio, tmp_path):
    device = device_with_old(broker, studio, tmp_path, probation_s=60).start()
    try:
        studio.wait_state("active")
        studio.publish(3, NEW)
        for _ in range(2):
            studio.wait_state("probation", revision=3)
            device.kill()
            studio.reported.clear()
            device.start()
        report = studio.wait_state("rolled_back", revision=3, reason="probation_crashed")
        assert report.active == sha(OLD)
        assert_classifies_with(studio, "old", sha(OLD))
    finally:
        device.stop()


def test_stopping_in_probation_is_no_death(broker, studio, tmp_path):
    device = device_with_old(broker, studio, tmp_path, probation_s=60).start()
    try:
        studio.wait_state("active")
        studio.publish(3, NEW)
        for _ in range(3):
            studio.wait_state("probation", revision=3)
            assert device.stop() == 0
            assert (device.saved["deaths"], device.saved["running"]) == (0, False)
            studio.reported.clear()
            device.start()
        studio.wait_state("probation", revision=3)
    finally:
        device.stop()


def test_commands_are_answered(studio, device):
    studio.send("cmd/rollback", Command(id="r0").encode())
    wait_for(lambda: "r0" in studio.replies)
    assert not studio.replies["r0"].ok
    assert "no previous model" in studio.replies["r0"].error
    studio.publish(3, NEW)
    studio.wait_state("active", revision=3)
    studio.send("cmd/rollback", Command(id="r1").encode())
    wait_for(lambda: "r1" in studio.replies)
    assert studio.replies["r1"].ok
    assert studio.wait_state("rolled_back", revision=3).active == sha(OLD)
    studio.send("cmd/snapshot", Command(id="s1").encode())
    wait_for(lambda: "s1" in studio.replies and studio.snapshots)
    assert studio.snapshots[-1].frame == studio.replies["s1"].result["frame"]
    assert not studio.frames, "a picture is for whoever asked, not for those who watch"
    studio.send("cmd/benchmark", Command(id="b1", args={"seconds": 0.1}).encode())
    wait_for(lambda: "b1" in studio.replies)
    assert studio.replies["b1"].ok, studio.replies["b1"].error
    result = studio.replies["b1"].result
    assert result["latency_ms"]["p50"] > 0
    assert "cores" in result["machine"]
    # The order is still there on the broker; a new connect does not undo the rollback.
    device.stop()
    studio.reported.clear()
    device.start()
    assert studio.wait_state("rolled_back", revision=3).active == sha(OLD)
    assert_classifies_with(studio, "old", sha(OLD))


def test_a_broker_restart_is_survived_and_the_state_is_told_again(broker, studio, device):
    broker.stop()
    wait_for(lambda: not studio.connection.connected)
    studio.reported.clear()
    studio.statuses.clear()
    broker.start()
    wait_for(lambda: studio.connection.connected)
    assert studio.wait_state("active").active == sha(OLD)
    assert wait_for(lambda: studio.statuses)[-1].online
    assert_classifies_with(studio, "old", sha(OLD))


def test_a_broker_restart_in_the_middle_of_a_download(broker, studio, device):
    serve, studio._serve = studio._serve, lambda want: None
    content_sha = studio.publish(3, NEW)
    studio.wait_state("downloading", revision=3)
    broker.stop()
    wait_for(lambda: not studio.connection.connected)
    studio._serve = serve
    broker.start()
    assert studio.wait_state("active", revision=3).active == content_sha


def test_a_damaged_state_file_is_put_aside(broker, studio, tmp_path):
    device = Device(tmp_path, broker.url, key=studio.public_key)
    (device.state_folder / "deployment.json").write_text('{"version": 1, "revi')
    device.start()
    try:
        studio.wait_state("idle")
        assert (device.state_folder / "deployment.damaged").exists()
    finally:
        device.stop()


def test_a_damaged_model_file_brings_the_previous_one_back(studio, device):
    content_sha = studio.publish(3, NEW)
    studio.wait_state("active", revision=3)
    device.stop()
    (device.state_folder / "models" / f"{content_sha}.onnx").write_bytes(b"rubbish")
    studio.reported.clear()
    device.start()
    assert studio.wait_state("rolled_back", reason="loader_failed").active == sha(OLD)
    assert_classifies_with(studio, "old", sha(OLD))


def test_it_works_without_any_broker(tmp_path):
    (tmp_path / "old.onnx").write_bytes(OLD)
    device = Device(tmp_path, "mqtt://127.0.0.1:9", model=str(tmp_path / "old.onnx")).start()
    try:
        wait_for(lambda: "First frame classified" in device.log and "Trying again" in device.log)
    finally:
        assert device.stop() == 0


def test_a_late_will_of_the_last_connection_is_put_right(studio, device):
    late = studio.statuses[-1].model_copy(update={"online": False})
    studio.send("status", late.encode())
    wait_for(
        lambda: (
            len(studio.statuses) >= 2
            and studio.statuses[-2:][0].online is False
            and studio.statuses[-1].online
        )
    )
