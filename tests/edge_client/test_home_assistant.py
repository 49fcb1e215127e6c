"""A camera appears in Home Assistant, says how it is, and vanishes when that is switched off."""

import json
import re
from dataclasses import replace

import jinja2
import pytest

from slimcast_edge.client.home_assistant import MARK, HomeAssistant, discovery, discovery_topic, summary
from slimcast_edge.errors import WireError
from slimcast_edge.mqtt import Connection
from slimcast_edge.wire import (
    MAX_ANNOUNCEMENT_BYTES,
    MAX_CAMERAS,
    DeviceState,
    Prediction,
    Telemetry,
    check_size,
)
from support_vitals import EMPTY, SHA, TWO_CAMERAS, VITALS
from support_wait import PATIENCE, wait_for

DOCUMENT = discovery("lab", "cam.1", "Raspberry Pi 5")


def rendered(template, payload):
    """Render a template as Home Assistant does."""
    environment = jinja2.Environment()
    environment.filters["to_json"] = json.dumps
    return environment.from_string(template).render(value_json=json.loads(payload))


def test_what_is_announced():
    assert set(DOCUMENT) == {"dev", "o", "availability", "cmps"}
    parts = DOCUMENT["cmps"]
    assert {part["p"] for part in parts.values()} == {"camera", "sensor", "update"}
    assert {"camera", "label", "fps", "latency", "temperature", "model"} <= set(parts)
    names = [part["unique_id"] for part in parts.values()]
    assert len(set(names)) == len(names)
    assert parts["camera"]["topic"] == "slimcast/v1/lab/cam.1/frame"
    for part in parts.values():
        if part["p"] != "camera":
            assert part["state_topic"] == "slimcast/v1/lab/cam.1/summary"
    assert len(json.dumps(DOCUMENT)) < 4096


def test_each_of_several_cameras_has_its_picture_and_sensors():
    document = discovery("lab", "gate", "Pi", [camera.name for camera in TWO_CAMERAS.cameras])
    parts = document["cmps"]
    assert [part["topic"] for part in parts.values() if part["p"] == "camera"] == [
        "slimcast/v1/lab/gate/camera/left.1",
        "slimcast/v1/lab/gate/camera/left-1",
    ]
    ids = [part["unique_id"] for part in parts.values()]
    assert len(set(ids)) == len(ids) == 2 * 4 + 3
    payload = summary(TWO_CAMERAS).encode()
    check_size("summary", payload)
    shown = {
        part["name"]: rendered(part["value_template"], payload)
        for part in parts.values()
        if part["p"] == "sensor"
    }
    assert (shown["left.1 label"], shown["left.1 frame rate"]) == ("six", "10.0")
    assert (shown["left-1 label"], shown["left-1 frame rate"]) == ("None", "0.0")


def test_the_largest_messages_fit():
    names = [f"{'n' * 30}-{number}" for number in range(MAX_CAMERAS)]
    camera = replace(TWO_CAMERAS.cameras[0], best=Prediction(label="\U0001d7d9" * 200, index=0, score=1.0))
    many = replace(TWO_CAMERAS, cameras=tuple(replace(camera, name=name) for name in names))
    check_size("summary", summary(many).encode())
    assert len(json.dumps(discovery("s" * 64, "d" * 64, "h" * 200, names))) <= MAX_ANNOUNCEMENT_BYTES


def test_the_topic_is_allowed_and_unique():
    topic = discovery_topic("homeassistant", "lab", "cam.1")
    assert re.fullmatch(r"homeassistant/device/cam_1/slimcast_lab_cam_1_[0-9a-f]{6}/config", topic)
    pairs = [("lab", "cam.1"), ("lab", "cam_1"), ("lab_cam", "1"), ("lab", "cam-1")]
    assert len({discovery_topic("homeassistant", *pair) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("part", "shown"),
    [("label", "six"), ("score", "98.7"), ("fps", "15.0"), ("latency", "2.0"), ("temperature", "51.5")],
)
def test_sensors_show_the_summary(part, shown):
    payload = summary(VITALS).encode()
    check_size("summary", payload)
    assert rendered(DOCUMENT["cmps"][part]["value_template"], payload) == shown


def test_the_update_entity_shows_what_runs_and_what_was_offered():
    template = DOCUMENT["cmps"]["model"]["value_template"]
    now = json.loads(rendered(template, summary(VITALS).encode()))
    assert now == {
        "installed_version": f'a "b" {SHA[:8]}',
        "latest_version": "new cdcdcdcd",
        "title": "Slimcast model",
        "in_progress": True,
        "update_percentage": 50,
        "release_summary": "",
    }
    settled = VITALS.reported.model_copy(
        update={"state": DeviceState.ACTIVE, "active": "cd" * 32, "active_name": "new"}
    )
    done = json.loads(rendered(template, summary(replace(VITALS, reported=settled)).encode()))
    assert done["installed_version"] == done["latest_version"]
    assert (done["in_progress"], done["update_percentage"]) == (False, 50)


def test_before_the_first_frame():
    first = summary(EMPTY)
    assert (first.model, first.offered, first.label) == ("none", "none", None)


def test_availability_follows_the_status():
    [availability] = DOCUMENT["availability"]
    assert availability["topic"] == "slimcast/v1/lab/cam.1/status"
    assert rendered(availability["value_template"], '{"online": true}') == "online"
    assert rendered(availability["value_template"], '{"online": false}') == "offline"


@pytest.fixture
def connection(broker):
    connection = Connection(
        broker.url, "cam1", site="lab", subscriptions=[], on_message=lambda _address, _payload: None
    )
    connection.start()
    assert connection.wait_connected(30 * PATIENCE)
    yield connection
    connection.stop()


def device(connection, folder, *, prefix="homeassistant", asked=None):
    asked = [] if asked is None else asked
    return HomeAssistant(
        connection,
        folder,
        prefix=prefix,
        name=("lab", "cam1"),
        hardware="Pi",
        vitals=lambda: VITALS,
        picture=lambda: asked.append("picture"),
    )


@pytest.mark.mosquitto
def test_it_appears_and_vanishes(home, connection, tmp_path):
    topic = discovery_topic("homeassistant", "lab", "cam1")
    on = device(connection, tmp_path)
    on.announce()
    wait_for(lambda: home.retained.get(topic))
    assert json.loads(home.retained[topic])["dev"]["name"] == "cam1"
    assert (tmp_path / MARK).read_text() == topic
    off = device(connection, tmp_path, prefix=None)
    off.refresh()
    off.announce()
    wait_for(lambda: home.retained[topic] == b"")
    assert not (tmp_path / MARK).exists()
    assert home.states == []


@pytest.mark.mosquitto
def test_another_prefix_takes_the_old_one_back(home, connection, tmp_path):
    device(connection, tmp_path).announce()
    other = device(connection, tmp_path, prefix="homeassistant/second")
    other.announce()
    old, new = (
        discovery_topic(prefix, "lab", "cam1") for prefix in ("homeassistant", "homeassistant/second")
    )
    wait_for(lambda: home.retained.get(old) == b"" and home.retained.get(new))
    assert (tmp_path / MARK).read_text() == new


@pytest.mark.mosquitto
def test_state_and_picture_come(home, connection, tmp_path):
    asked = []
    on = device(connection, tmp_path, asked=asked)
    for _ in range(3):
        on.refresh()
    wait_for(lambda: len(home.states) == 3)
    assert json.loads(home.states[0])["label"] == "six"
    assert len(asked) == 3


def test_without_a_broker_nothing_is_forgotten(tmp_path):
    connection = Connection("mqtt://127.0.0.1:1", "cam1", site="lab", subscriptions=[], on_message=print)
    (tmp_path / MARK).write_text("homeassistant/device/old/config")
    device(connection, tmp_path, prefix=None).announce()
    assert (tmp_path / MARK).exists(), "it is taken back on the next connect"


@pytest.mark.parametrize("topic", ["slimcast/v1/lab/cam1/desired", "homeassistant/#", "a/+/b"])
def test_only_foreign_topics_can_be_announced(topic):
    connection = Connection("mqtt://127.0.0.1:1", "cam1", site="lab", subscriptions=[], on_message=print)
    with pytest.raises(WireError):
        connection.announce(topic, b"")
    with pytest.raises(WireError):
        connection.announce("homeassistant/x", bytes(MAX_ANNOUNCEMENT_BYTES + 1))


def test_a_device_that_has_no_sensor():
    now = VITALS.telemetry.model_copy(update={"temperature_c": None, "throttled": None})
    assert isinstance(now, Telemetry)
    payload = summary(replace(VITALS, telemetry=now)).encode()
    assert rendered(DOCUMENT["cmps"]["temperature"]["value_template"], payload) == "None"
