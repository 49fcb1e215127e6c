"""The hub and a scripted device over real brokers: the same contract on the embedded one and on Mosquitto."""

import hashlib
import io
import itertools
import threading
import time

import pytest
from PIL import Image

from slimcast.errors import FleetError
from slimcast.fleet import FleetHub
from slimcast.ports import free_port
from slimcast_edge import wire
from slimcast_edge.frames import embed
from slimcast_edge.signing import fingerprint, open_signed
from slimcast_edge.wire import DeviceState
from support_fleet import ScriptedDevice, make_broker, studio_settings
from support_wait import wait_for

CONTENT = bytes(range(256)) * 1200  # 307 200 bytes: three chunks, the last one short


_sites = itertools.count()


@pytest.fixture(scope="module", params=["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def broker(request, tmp_path_factory):
    """A running broker for all tests of this file: once the embedded one, once a real Mosquitto."""
    folder = tmp_path_factory.mktemp(request.param)
    server = make_broker(request.param, studio_settings(folder, free_port()), folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(broker, tmp_path):
    """A studio of its own, at a site of its own, so that tests do not see each other's retained state."""
    return studio_settings(tmp_path / "home", broker.port, f"site{next(_sites)}")


@pytest.fixture
def online(hub, make_device):
    """The scripted device, online, and heard of by a connected hub."""
    device = make_device()
    hub.wait_connected(10)
    device.come_online()
    wait_for(lambda: any(d.online for d in hub.devices()), "the device to be online")
    return device


def result(frame: int = 1, session: str = "s1") -> wire.Result:
    return wire.Result(
        session=session,
        frame=frame,
        captured_at=time.time(),
        classified_at=time.time(),
        latency_ms=1.0,
        artifact="0" * 64,
        predictions=[wire.Prediction(label="seven", index=7, score=0.9)],
    )


def jpeg_frame(frame: int = 1) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(buffer, "JPEG")
    return embed(buffer.getvalue(), result(frame))


def test_device_is_known_with_all_it_says(hub, online):
    online.report(3, DeviceState.IDLE)
    telemetry = wire.Telemetry(
        session="s1",
        at=1,
        uptime_s=5,
        fps=29.5,
        latency_p50_ms=1,
        latency_p90_ms=2,
        frames=9,
        dropped=0,
        rss_mb=80,
    )
    online.send("telemetry", telemetry)
    seen = wait_for(lambda: (d := hub.device("cam1")).telemetry and d.reported and d, "state and telemetry")
    assert seen.telemetry == telemetry
    assert seen.reported.revision == 3
    assert abs(seen.last_seen - time.time()) < 60


def test_order_is_signed_and_its_chunks_are_served(hub, store, settings, online):
    sha256 = store.artifacts.put(CONTENT)
    revision = hub.publish("cam1", sha256, "lenet5 int8")
    data = online.wait_message("desired")[-1][1]
    order = open_signed(data, hub.public_key)
    assert (order.revision, order.artifact.sha256, order.artifact.size_bytes) == (
        revision,
        sha256,
        len(CONTENT),
    )
    online.connection.subscribe(wire.blob_topic(settings.site, sha256, "+"))
    online.send("want", wire.Want(artifact=sha256, chunk_bytes=wire.CHUNK_BYTES, chunks=[0, 1, 2]))
    chunks = {int(address.tail): body for address, body in online.wait_message("blob", 3)}
    assert hashlib.sha256(b"".join(chunks[n] for n in range(3))).hexdigest() == sha256


def test_artifact_that_no_order_names_is_not_served(hub, store, settings, online):
    secret = store.artifacts.put(b"nobody has published this")
    online.connection.subscribe(wire.blob_topic(settings.site, secret, "+"))
    online.send("want", wire.Want(artifact=secret, chunk_bytes=wire.CHUNK_BYTES, chunks=[0]))
    wait_for(lambda: hub.counters.get("chunks_refused") == 1, "the refusal")
    assert online.messages("blob") == []


def test_frames_reach_who_watches_and_a_lease_is_kept(hub, online):
    packets = []
    stop_watching = hub.watch("cam1", "test", packets.append)
    lease = wire.decode(wire.ViewLease, "cmd/view", online.wait_message("cmd/view")[0][1])
    assert lease.lease_s > 1
    online.send("frame", jpeg_frame(7))
    wait_for(lambda: packets, "a frame")
    assert packets[0].result.frame == 7
    assert Image.open(io.BytesIO(packets[0].jpeg)).size == (64, 48)
    assert hub.latest_frame("cam1") is packets[0]
    online.wait_message("cmd/view", 2)  # renewed by itself
    stop_watching()
    wait_for(lambda: _lease(online).lease_s < 1, "the lease to be given back")
    online.send("frame", jpeg_frame(8))
    wait_for(lambda: hub.latest_frame("cam1").result.frame == 8, "the next frame")
    assert len(packets) == 1


def _lease(device):
    return wire.decode(wire.ViewLease, "cmd/view", device.messages("cmd/view")[-1][1])


def test_bad_payloads_are_counted_and_dropped(hub, online):
    online.send_raw(online.topic("reported"), b"{not json")
    online.send_raw(online.topic("telemetry"), b'{"session": 5}')
    online.send_raw(online.topic("frame"), b"GIF89a")
    online.send_raw(online.topic("telemetry"), b"x" * (wire.TOPICS["telemetry"].max_bytes + 1))
    online.send_raw(online.topic("frame"), b"\xff\xd8" + bytes(wire.MAX_FRAME_BYTES))
    wait_for(lambda: hub.counters.get("dropped_malformed") == 3, "three malformed ones")
    wait_for(lambda: hub.counters.get("dropped_oversized") == 2, "two oversized ones")
    online.report(1, DeviceState.IDLE)
    wait_for(lambda: hub.device("cam1").reported, "a good one after the bad ones")


def test_vanished_device_goes_offline_by_its_will(hub, online):
    online.vanish()
    wait_for(lambda: not hub.device("cam1").online, "the will")


def test_device_settles_and_its_states_are_told(hub, store, online):
    sha256 = store.artifacts.put(CONTENT)
    revision = hub.publish("cam1", sha256, "m")
    told = []

    def on_change(now):
        told.append(now.reported.state if now.reported else None)
        if told[-1] is None:
            online.report(revision, DeviceState.DOWNLOADING, progress=0.5)
        elif told[-1] is DeviceState.DOWNLOADING:
            online.report(revision, DeviceState.ACTIVE, active=sha256)

    settled = hub.wait_settled("cam1", revision, 20, on_change)
    assert settled.reported.active == sha256
    assert told == [None, DeviceState.DOWNLOADING, DeviceState.ACTIVE]


def test_unsettled_device_is_told_with_what_was_last_heard(hub, store, online):
    revision = hub.publish("cam1", store.artifacts.put(CONTENT), "m")
    with pytest.raises(FleetError, match=r"after 0\.2 s.*online and has reported nothing"):
        hub.wait_settled("cam1", revision, 0.2)


def test_command_gets_its_reply(hub, online):
    def answer():
        command = wire.decode(wire.Command, "cmd/benchmark", online.wait_message("cmd/benchmark")[0][1])
        online.send("reply", wire.Reply(id=command.id, ok=True, result=command.args), tail=command.id)

    thread = threading.Thread(target=answer)
    thread.start()
    reply = hub.command("cam1", "benchmark", {"seconds": 1}, 10)
    thread.join()
    assert reply.ok
    assert reply.result == {"seconds": 1}
    with pytest.raises(FleetError, match=r"did not answer 'snapshot' within 0\.2 s"):
        hub.command("cam1", "snapshot", {}, 0.2)
    with pytest.raises(FleetError, match="Known: benchmark, snapshot, rollback"):
        hub.command("cam1", "dance", {}, 1)


def test_unknown_device_lists_the_known_ones(hub, store, online):
    with pytest.raises(FleetError, match=r"'nobody'.*Known: cam1"):
        hub.publish("nobody", store.artifacts.put(CONTENT), "m")


def test_device_that_pinned_another_key_is_told_apart_before_publishing(hub, store, online):
    about = {
        "session": "s1",
        "hardware": "x",
        "os": "x",
        "client": "1",
        "camera": "x",
        "runtime": "x",
        "threads": 1,
    }
    online.send("about", wire.About.model_validate(about | {"key_fingerprint": "feedfeedfeedfeed"}))
    wait_for(lambda: hub.device("cam1").about, "about")
    sha256 = store.artifacts.put(CONTENT)
    with pytest.raises(FleetError, match=r"another studio.*slimcast-edge enroll"):
        hub.publish("cam1", sha256, "m")
    ours = fingerprint(hub.public_key)
    online.send("about", wire.About.model_validate(about | {"key_fingerprint": ours}))
    wait_for(lambda: hub.device("cam1").about.key_fingerprint == ours, "our key")
    hub.publish("cam1", sha256, "m")


def test_restarted_broker_gets_the_order_again(hub, store, broker, online):
    revision = hub.publish("cam1", store.artifacts.put(CONTENT), "m")
    online.wait_message("desired")
    broker.stop()
    wait_for(lambda: not hub.connected, "the hub to notice")
    with pytest.raises(FleetError, match=r"The broker mqtt://127\.0\.0\.1:\d+ cannot be used: "):
        hub.publish("cam1", store.artifacts.put(CONTENT), "m")
    assert hub.device("cam1").desired.revision == revision  # what is known can be read all the while
    broker.start()
    hub.wait_connected(30)
    orders = online.wait_message("desired", 2)
    assert wire.decode(wire.Desired, "desired", orders[-1][1]).revision == revision


def test_second_studio_learns_the_orders_and_goes_on_from_them(hub, store, settings, online):
    first = hub.publish("cam1", store.artifacts.put(CONTENT), "m")
    online.wait_message("desired")
    other = FleetHub(settings, store)
    other.start()
    try:
        wait_for(lambda: (d := _known(other, "cam1")) and d.desired and d.online, "the retained state")
        assert other.device("cam1").desired.revision == first
        second = other.set_stream("cam1", wire.StreamSettings(max_fps=5))
    finally:
        other.stop()
    assert second > first
    wait_for(lambda: hub.device("cam1").desired.revision == second, "the first studio to hear of it")
    assert hub.device("cam1").desired.artifact is not None  # the stream changed, the artifact stayed
    assert hub.publish("cam1", store.artifacts.put(b"another"), "n") > second


def test_of_two_studios_that_publish_at_once_the_higher_revision_counts(hub, store, settings, online):
    other = FleetHub(settings, store)
    other.start()
    contents = {studio: store.artifacts.put(name.encode()) for studio, name in ((hub, "one"), (other, "two"))}
    revisions = []
    try:
        wait_for(lambda: (d := _known(other, "cam1")) and d.online, "the other studio to know the device")
        threads = [
            threading.Thread(target=lambda s=studio, sha=sha: revisions.append(s.publish("cam1", sha, "m")))
            for studio, sha in contents.items()
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(revisions)) == 6
        for studio in contents:
            wait_for(lambda s=studio: s.device("cam1").desired.revision == max(revisions), "both to agree")
        wait_for(
            lambda: _retained_revision(settings, "cam1") == max(revisions), "the broker to have the last one"
        )
    finally:
        other.stop()


def test_an_older_order_that_comes_late_is_replaced_by_the_newer(hub, store, online):
    artifact = store.artifacts.put(CONTENT)
    hub.publish("cam1", artifact, "m")
    (_, older) = online.wait_message("desired")[-1]
    newer = hub.publish("cam1", artifact, "n")
    online.wait_message("desired", 2)
    online.send_raw(online.topic("desired"), older)
    received = online.wait_message("desired", 4)  # the older one, and what the studio says to it
    assert wire.decode(wire.Desired, "desired", received[-1][1]).revision == newer


def test_a_withdrawn_artifact_is_neither_published_nor_served(hub, store, online):
    artifact = store.artifacts.put(CONTENT)
    hub.publish("cam1", artifact, "m")
    store.withdrawals.add(artifact, "m", "sees cats")
    with pytest.raises(FleetError, match="sees cats"):
        hub.publish("cam1", artifact, "m")
    want = wire.Want(artifact=artifact, chunk_bytes=wire.CHUNK_BYTES, chunks=[0])
    wait_for(lambda: online.send("want", want) or hub.counters.get("chunks_refused"), "a refusal")
    served = hub.counters.get("chunks_served", 0)
    refused = hub.counters["chunks_refused"]
    online.send("want", want)
    wait_for(lambda: hub.counters["chunks_refused"] > refused, "another one")
    assert hub.counters.get("chunks_served", 0) == served


def _retained_revision(settings, device):
    fresh = ScriptedDevice(settings, name=device, session="look").start()
    try:
        (_, data) = fresh.wait_message("desired")[-1]
        return wire.decode(wire.Desired, "desired", data).revision
    finally:
        fresh.stop()


def _known(hub, name):
    return next((device for device in hub.devices() if device.name == name), None)
