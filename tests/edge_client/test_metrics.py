"""Figures for Prometheus: its text format, and a server that nobody can hold up."""

import re
import socket
import urllib.error
import urllib.request

import pytest

from slimcast_edge.client import metrics_server
from slimcast_edge.client.metrics import render
from slimcast_edge.client.metrics_server import MetricsServer
from support_vitals import EMPTY, SHA, TWO_CAMERAS, VITALS
from support_wait import PATIENCE, wait_for

_LABEL = r'[a-z0-9_]+="(?:\\.|[^"\\])*"'
_LINE = re.compile(rf"(?P<name>[a-z_]+)(?:\{{(?P<labels>{_LABEL}(?:,{_LABEL})*)\}})? (?P<value>\S+)")


def parse(text):
    """Read the text format strictly: each family has HELP and TYPE first, each line one value."""
    values, known = {}, []
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            assert rest
            if word == "TYPE":
                assert name not in known, "a family stands in two places"
                known.append(name)
            continue
        match = _LINE.fullmatch(line)
        assert match, line
        assert match["name"].startswith(known[-1])
        key = match["name"] + (f"{{{match['labels']}}}" if match["labels"] else "")
        assert key not in values
        values[key] = float(match["value"])
    return values


def test_every_figure():
    values = parse(render(VITALS))
    assert values["slimcast_frames_total"] == 100
    assert values["slimcast_frames_dropped_total"] == 3
    assert values['slimcast_latency_seconds{quantile="0.5"}'] == pytest.approx(0.002)
    assert values["slimcast_latency_seconds_sum"] == 0.25
    assert values["slimcast_latency_seconds_count"] == 100
    assert values["slimcast_fps"] == pytest.approx(14.96)
    assert values["slimcast_resident_bytes"] > 1e6
    assert values["slimcast_temperature_celsius"] == 51.5
    assert values["slimcast_throttled"] == 0
    assert values['slimcast_deployment_state{state="downloading"}'] == 1
    assert sum(value for name, value in values.items() if name.startswith("slimcast_deployment_state")) == 1
    assert values["slimcast_revision"] == 4
    assert values["slimcast_broker_connected"] == 1
    assert values["slimcast_broker_reconnects_total"] == 2
    assert values[f'slimcast_model_info{{name="a \\"b\\"",sha256="{SHA}"}}'] == 1


def test_each_of_several_cameras():
    values = parse(render(TWO_CAMERAS))
    assert values['slimcast_camera_up{camera="left.1"}'] == 1
    assert values['slimcast_camera_up{camera="left-1"}'] == 0
    assert values['slimcast_camera_frames_total{camera="left-1"}'] == 40
    assert values['slimcast_camera_fps{camera="left.1"}'] == pytest.approx(9.96)
    assert not [name for name in parse(render(VITALS)) if name.startswith("slimcast_camera_")]


def test_before_the_first_frame():
    values = parse(render(EMPTY))
    assert values["slimcast_latency_seconds_count"] == 0
    assert "slimcast_fps" not in values


@pytest.fixture
def port():
    server = MetricsServer("127.0.0.1", 0, lambda: VITALS)
    yield server.start()
    server.stop()


def test_it_is_served(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30 * PATIENCE) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert parse(answer.read().decode())["slimcast_revision"] == 4
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30 * PATIENCE)
    assert refused.value.code == 404
    refused.value.close()


def test_readers_that_say_nothing_hold_nobody_up(monkeypatch):
    monkeypatch.setattr(metrics_server._Handler, "timeout", 0.2)
    server = MetricsServer("127.0.0.1", 0, lambda: VITALS)
    port = server.start()
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]

    def answered():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30 * PATIENCE) as answer:
                return answer.status == 200
        except OSError:  # all places were taken
            return False

    wait_for(answered)
    for one in idle:
        one.close()
    server.stop()


def test_a_port_that_is_taken(port):
    with pytest.raises(OSError, match="in use"):
        MetricsServer("127.0.0.1", port, lambda: VITALS).start()
