"""The real client process as it is operated: systemd's socket, metrics, Home Assistant, structured logs."""

import json
import socket
import urllib.request

import pytest

from slimcast.ports import free_port
from slimcast_edge.client.home_assistant import discovery_topic
from support_artifacts import make_artifact
from support_edge import Device
from support_wait import PATIENCE, wait_for

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


def _scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30 * PATIENCE) as answer:
        return answer.read().decode()


def test_a_client_is_watched_measured_and_shown(broker, home, tmp_path, monkeypatch):
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(tmp_path / "notify"))
    systemd.settimeout(60 * PATIENCE)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "90000000")
    model = tmp_path / "model.onnx"
    model.write_bytes(make_artifact(name="digits"))
    port = free_port()
    options = {"model": str(model), "log_format": "json", "metrics_port": port, "home_assistant_s": 1}
    device = Device(tmp_path, broker.url, home_assistant=True, **options).start()
    try:
        assert systemd.recv(4096) == b"READY=1"
        assert systemd.recv(4096) == b"WATCHDOG=1"
        wait_for(lambda: 'slimcast_model_info{name="digits"' in _scrape(port))
        wait_for(lambda: "\nslimcast_fps" in _scrape(port))
        topic = discovery_topic("homeassistant", "lab", "cam1")
        wait_for(lambda: home.retained.get(topic))
        wait_for(lambda: any(json.loads(state)["label"] for state in home.states))
        wait_for(lambda: home.pictures)
        assert home.pictures[0].startswith(b"\xff\xd8"), "a plain JPEG, though nobody holds a lease"
        assert device.stop() == 0
    finally:
        device.stop()
    heard = b""
    while b"STOPPING=1" not in heard:
        heard = systemd.recv(4096)
    systemd.close()
    events = [json.loads(line) for line in device.log.splitlines()]
    assert any(event["message"].startswith("First frame classified") for event in events)
    assert {event["level"] for event in events} <= {"info", "warning"}

    quiet = Device(tmp_path, broker.url, **options).start()
    try:
        wait_for(lambda: home.retained[topic] == b"")
    finally:
        quiet.stop()
