"""The registry of devices: pure state, one payload at a time."""

import pytest

from slimcast.fleet.registry import MAX_DEVICES, DeviceRegistry
from slimcast_edge.errors import WireError
from slimcast_edge.wire import (
    Address,
    Desired,
    DeviceState,
    Event,
    EventKind,
    Reported,
    Result,
    Status,
    Telemetry,
    Want,
)

NOW = 1_000_000.0


@pytest.fixture
def registry():
    return DeviceRegistry(clock=lambda: NOW)


def at(suffix, device="cam1"):
    return Address(site="lab", device=device, suffix=suffix)


def status(online, session="s1", since=NOW - 10):
    return Status(online=online, session=session, since=since)


def telemetry(session="s1"):
    return Telemetry(
        session=session,
        at=NOW,
        uptime_s=1,
        fps=30,
        latency_p50_ms=1,
        latency_p90_ms=2,
        frames=1,
        dropped=0,
        rss_mb=80,
    )


def test_records_do_not_change_when_the_registry_does(registry):
    before = registry.apply(at("status"), status(True))
    after = registry.apply(at("telemetry"), telemetry())
    assert before.telemetry is None
    assert after.telemetry.fps == 30
    assert registry.get("cam1") is after


def test_own_will_ends_a_session(registry):
    registry.apply(at("status"), status(True))
    assert not registry.apply(at("status"), status(False)).online


def test_late_will_of_an_older_session_is_ignored(registry):
    registry.apply(at("status"), status(True, "s1"))
    registry.apply(at("status"), status(True, "s2"))
    assert registry.apply(at("status"), status(False, "s1")) is None
    assert registry.get("cam1").online
    assert not registry.apply(at("status"), status(False, "s2")).online


def test_sign_of_life_overrules_a_will_of_an_older_session(registry):
    # What a hub finds that starts after a late will has overwritten the retained status.
    registry.apply(at("status"), status(False, "s1"))
    device = registry.apply(at("telemetry"), telemetry("s2"))
    assert device.online
    assert registry.apply(at("status"), status(False, "s1")) is None


def test_telemetry_that_was_under_way_does_not_revive_an_ended_session(registry):
    registry.apply(at("status"), status(True, "s1"))
    registry.apply(at("status"), status(False, "s1"))
    assert not registry.apply(at("telemetry"), telemetry("s1")).online


def test_older_order_does_not_replace_a_newer_one(registry):
    registry.apply(at("desired"), Desired(site="lab", device="cam1", revision=5))
    assert registry.apply(at("desired"), Desired(site="lab", device="cam1", revision=4)) is None
    assert registry.get("cam1").desired.revision == 5


def test_order_on_another_device_s_topic_is_malformed(registry):
    with pytest.raises(WireError, match="'cam2' came on the topic of 'cam1'"):
        registry.apply(at("desired"), Desired(site="lab", device="cam2", revision=5))


def test_retained_state_does_not_count_as_a_sign_of_life_now(registry):
    reported = Reported(session="s1", revision=1, state=DeviceState.IDLE, at=NOW - 500)
    assert registry.apply(at("reported"), reported).last_seen == NOW - 500
    assert registry.apply(at("telemetry"), telemetry()).last_seen == NOW


def test_device_whose_clock_runs_ahead_was_not_seen_in_the_future(registry):
    reported = Reported(session="s1", revision=1, state=DeviceState.IDLE, at=NOW + 9999)
    assert registry.apply(at("reported"), reported).last_seen == NOW


def test_only_the_newest_events_are_kept(registry):
    for number in range(30):
        event = Event(session="s1", at=NOW, kind=EventKind.ERROR, message=str(number))
        device = registry.apply(at("event"), event)
    assert [event.message for event in device.events] == [str(n) for n in range(10, 30)]


def test_a_clock_that_is_wrong_is_known_from_telemetry(registry):
    registry.apply(at("telemetry"), telemetry())
    assert not registry.get("cam1").has_wrong_clock
    behind = telemetry().model_copy(update={"at": NOW - 5 * 365 * 86_400})
    registry.apply(at("telemetry"), behind)
    assert registry.get("cam1").has_wrong_clock


def test_newest_result_is_kept(registry):
    result = Result(
        session="s1", frame=1, captured_at=1, classified_at=1, latency_ms=1, artifact="a", predictions=[]
    )
    assert registry.apply(at("result"), result).last_result is result


def test_cleared_device_is_forgotten(registry):
    registry.apply(at("status"), status(False))
    registry.apply(at("desired"), Desired(site="lab", device="cam1", revision=5))
    registry.clear(at("status"))
    assert registry.get("cam1").status is None
    registry.clear(at("desired"))
    assert registry.all() == []


def test_number_of_devices_is_bounded(registry):
    for number in range(MAX_DEVICES):
        registry.apply(at("status", f"cam{number}"), status(True))
    with pytest.raises(WireError, match="there are 1000 already"):
        registry.apply(at("status", "one-more"), status(True))


def test_payload_that_is_no_state_is_refused(registry):
    with pytest.raises(WireError, match="Want says nothing"):
        registry.apply(at("want"), Want(artifact="0" * 64, chunk_bytes=1024, chunks=[0]))
    assert registry.all() == []
