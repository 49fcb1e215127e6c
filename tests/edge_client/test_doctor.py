"""Each check names what is wrong and what to do; nothing that is broken takes the doctor with it."""

import contextlib
import errno
import io
import json
import socket
import subprocess
import sys
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from slimcast.ports import free_port
from slimcast_edge.cli import main
from slimcast_edge.client.metrics_server import MetricsServer
from slimcast_edge.deploy.startup import adopt
from slimcast_edge.deploy.state import StateFolder
from slimcast_edge.doctor import board, disk, examine, model, probe
from slimcast_edge.doctor.broker import check_broker
from slimcast_edge.doctor.camera import check_camera
from slimcast_edge.doctor.child import ask_child
from slimcast_edge.doctor.examine import Check, checks_of
from slimcast_edge.doctor.figures import check_metrics
from slimcast_edge.doctor.finding import good
from slimcast_edge.doctor.neighbour import running_client
from slimcast_edge.settings import EdgeSettings, parse_settings
from slimcast_edge.signing import public_key_to_text
from support_artifacts import LABELS, make_artifact, sample_images, write_artifact
from support_vitals import VITALS


def settings_of(folder, **changes) -> EdgeSettings:
    images = folder / "images"
    images.mkdir(exist_ok=True)
    for label, pixels in zip(LABELS, sample_images(), strict=True):
        Image.fromarray(pixels[..., 0]).save(images / f"{label}_0.png")
    state = folder / "state"
    state.mkdir(exist_ok=True)
    camera = {"kind": "folder", "path": str(images), "fps": 0}
    return parse_settings({"device": "cam1", "state_folder": str(state), "camera": camera} | changes)


def install(settings, folder):
    """Put an active model into the state folder and return the path of its file."""
    kept = StateFolder(settings.state_folder)
    path = write_artifact(folder / "m.onnx", make_artifact(name="digits"))
    active = adopt(kept, kept.load(), path).active
    return kept.model_path(active.sha256)


def test_a_check_that_hangs_or_fails_is_a_finding():
    never = threading.Event()

    def fail(_settings):
        raise RuntimeError("boom")

    checks = (
        Check("stuck", lambda _: never.wait(), 0.05),
        Check("broken", fail, 30.0),
        Check("fine", lambda _: good("fine", "well"), 30.0),
    )
    stuck, broken, fine = examine(EdgeSettings(), checks)
    never.set()
    assert (stuck.ok, broken.ok, fine.ok) == (False, False, True)
    assert "No answer" in stuck.message
    assert "restart" in stuck.advice
    assert "RuntimeError: boom" in broken.message


def test_disk(tmp_path, monkeypatch):
    settings = settings_of(tmp_path)
    found = disk.check_disk(settings)
    assert found.ok
    assert list(settings.state_folder.iterdir()) == [], "it leaves nothing behind"
    monkeypatch.setattr(disk, "MIN_FREE_MB", 1e12)
    full = disk.check_disk(settings)
    assert not full.ok
    assert "Delete" in full.advice
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    assert not disk.check_disk(settings_of(tmp_path, state_folder=str(tmp_path / "file"))).ok
    assert disk.check_disk(settings_of(tmp_path, state_folder=str(tmp_path / "not" / "yet"))).ok
    assert not (tmp_path / "not").exists(), "looking makes no folder"


def test_a_disk_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(**_options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(disk.tempfile, "TemporaryFile", refuse)
    found = disk.check_disk(settings_of(tmp_path))
    assert "Read-only file system" in found.message
    assert "card" in found.advice


def test_clock(monkeypatch):
    monkeypatch.setattr(board, "_synchronized", lambda: None)
    assert board.check_clock(EdgeSettings()).ok
    monkeypatch.setattr(board, "_synchronized", lambda: False)
    assert "set-ntp" in board.check_clock(EdgeSettings()).advice
    monkeypatch.setattr(board.time, "time", lambda: 86_400.0)
    assert "1970-01-02" in board.check_clock(EdgeSettings()).message


@pytest.mark.parametrize(("text", "answer"), [("yes", True), ("no", False), ("n/a", None)])
def test_the_clock_is_asked_of_systemd(tmp_path, monkeypatch, text, answer):
    command = tmp_path / "timedatectl"
    command.write_text(f"#!/bin/sh\necho {text}\n")
    command.chmod(0o755)
    monkeypatch.setattr(board, "_ASK_TIMEOUT_S", 60.0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert board._synchronized() is answer


@pytest.mark.parametrize(
    ("celsius", "slowed", "ok"),
    [(None, None, True), (55.0, False, True), (81.0, False, False), (55.0, True, False)],
)
def test_temperature(monkeypatch, celsius, slowed, ok):
    monkeypatch.setattr(board, "temperature_c", lambda: celsius)
    monkeypatch.setattr(board, "throttled", lambda: slowed)
    found = board.check_temperature(EdgeSettings())
    assert found.ok is ok
    assert bool(found.advice) is not ok


def test_key(tmp_path):
    settings = settings_of(tmp_path)
    missing = model.check_key(settings)
    assert not missing.ok
    assert "slimcast-edge enroll" in missing.advice
    settings.key_file.write_text("nonsense")
    assert "no public key" in model.check_key(settings).message
    settings.key_file.write_text(public_key_to_text(Ed25519PrivateKey.generate().public_key()))
    assert model.check_key(settings).ok


def test_model(tmp_path):
    settings = settings_of(tmp_path)
    assert "none yet" in model.check_model(settings).message
    path = install(settings, tmp_path)
    found = model.check_model(settings)
    assert found.ok, found
    assert "digits" in found.message
    assert "ms for one image" in found.message
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "no longer what was published" in model.check_model(settings).message
    path.unlink()
    assert "Cannot read 'digits'" in model.check_model(settings).message
    (settings.state_folder / "deployment.json").write_text("{")
    assert "damaged" in model.check_model(settings).message


def test_the_model_of_the_settings(tmp_path):
    found = model.check_model(settings_of(tmp_path, model=str(tmp_path / "x.onnx")))
    assert not found.ok
    assert found.message == f"Cannot read the model {tmp_path / 'x.onnx'}: No such file or directory."
    assert "`model` in the settings" in found.advice


def test_runtime(tmp_path):
    found = model.check_runtime(settings_of(tmp_path))
    assert found.ok, found
    assert "CPUExecutionProvider" in found.message


def test_camera(tmp_path):
    settings = settings_of(tmp_path)
    found = check_camera(settings)
    assert found.ok, found
    assert "frames a second" in found.message


def test_a_camera_that_is_not_there_is_busy_or_dark(tmp_path, monkeypatch):
    def ask_here(what, options, *, timeout_s):
        monkeypatch.setattr("sys.argv", ["probe", what])
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(options)))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert probe.main() == 0
        return json.loads(out.getvalue())

    monkeypatch.setattr("slimcast_edge.doctor.camera.ask_child", ask_here)
    settings = settings_of(tmp_path)
    missing = settings_of(tmp_path, camera={"kind": "folder", "path": str(tmp_path / "none")})
    assert "There is no folder" in check_camera(missing).message
    for path in (tmp_path / "images").iterdir():
        Image.new("L", (16, 16)).save(path)
    assert "all black" in check_camera(settings).message
    monkeypatch.setattr("slimcast_edge.doctor.camera.running_client", lambda: 4711)
    assert not check_camera(missing).ok, "a folder can be read by many"
    file = {"kind": "video", "source": str(tmp_path / "none.mp4")}
    assert not check_camera(settings_of(tmp_path, camera=file)).ok, "nor does a client keep a file away"
    webcam = {"kind": "video", "source": "/dev/video63"}
    busy = check_camera(settings_of(tmp_path, camera=webcam))
    assert busy.ok
    assert "4711" in busy.message
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert not check_camera(settings_of(tmp_path, camera=webcam)).ok, "what is not installed nobody holds"


def test_a_probe_that_crashes_or_hangs(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "ended with code 1" in ask_child("camera", {}, timeout_s=60)["error"]
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    assert "cannot start" in ask_child("camera", {}, timeout_s=60)["error"]

    def die(command, **_options):
        return subprocess.CompletedProcess(command, -11, "", "")

    monkeypatch.setattr(subprocess, "run", die)
    assert "SIGSEGV" in ask_child("camera", {}, timeout_s=60)["error"]

    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert "within 60 s" in ask_child("camera", {}, timeout_s=60)["error"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["/usr/bin/python3", "/usr/local/bin/slimcast-edge", "run", "--config", "x"], True),
        (["python3", "-m", "slimcast_edge", "run"], True),
        (["/usr/local/bin/slimcast-edge", "doctor"], False),
        (["vi", "slimcast-edge"], False),
        ([""], False),
    ],
)
def test_a_client_that_runs_is_found(tmp_path, arguments, found):
    for number, line in ((12, arguments), (13, ["init"])):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cmdline").write_bytes(b"\0".join(word.encode() for word in line) + b"\0")
    assert running_client(tmp_path) == (12 if found else None)


def test_a_broker_that_cannot_be_reached(tmp_path):
    refused = check_broker(settings_of(tmp_path, broker=f"mqtt://127.0.0.1:{free_port()}"))
    assert not refused.ok
    assert "nothing listens" in refused.message
    unknown = check_broker(settings_of(tmp_path, broker="mqtt://no-such-host.invalid"))
    assert "no host of that name" in unknown.message


def test_a_device_without_any_broker_is_told_to_enrol(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise ConnectionRefusedError

    monkeypatch.setattr("slimcast_edge.doctor.broker.socket.create_connection", refuse)
    found = check_broker(settings_of(tmp_path))
    assert not found.ok
    assert "name no broker" in found.message
    assert "Enrol the device with a code" in found.advice


def test_the_port_of_prometheus(tmp_path):
    assert not [check for check in checks_of(settings_of(tmp_path)) if check.name == "metrics"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = settings_of(tmp_path, metrics_port=port)
        assert [check for check in checks_of(settings) if check.name == "metrics"]
        taken = check_metrics(settings)
        assert not taken.ok
        assert "`metrics_port`" in taken.advice
    assert check_metrics(settings).ok
    client = MetricsServer("127.0.0.1", port, lambda: VITALS)
    client.start()
    try:
        assert "by the client that runs" in check_metrics(settings).message
    finally:
        client.stop()


def test_what_is_not_installed_is_no_matter_of_cables(tmp_path, monkeypatch):
    answer = {"error": "It needs OpenCV: pip install slimcast[video]", "not_installed": True}
    monkeypatch.setattr("slimcast_edge.doctor.camera.ask_child", lambda *_a, **_o: answer)
    monkeypatch.setattr("slimcast_edge.doctor.camera.running_client", lambda: None)
    found = check_camera(settings_of(tmp_path, camera={"kind": "video"}))
    assert "install.sh" in found.advice
    assert "/dev/video" not in found.advice


def test_a_disk_that_has_become_read_only_or_is_full(tmp_path, monkeypatch):
    settings = settings_of(tmp_path)
    for number, word in ((errno.EROFS, "dmesg"), (errno.ENOSPC, "Delete"), (errno.EACCES, "chown")):

        def fail(number=number, **_options):
            raise OSError(number, "no")

        monkeypatch.setattr("slimcast_edge.doctor.disk.tempfile.TemporaryFile", fail)
        found = disk.check_disk(settings)
        assert not found.ok
        assert word in found.advice


@pytest.mark.mosquitto
def test_a_broker_that_lets_us_in(broker, tmp_path):
    found = check_broker(settings_of(tmp_path, broker=broker.url))
    assert found.ok, found
    assert "slimcast/v1/lab/cam1/desired" in found.message


@pytest.mark.mosquitto
def test_a_broker_that_refuses_us(broker, tmp_path):
    broker.stop()
    config = tmp_path / "mosquitto.conf"
    config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    found = check_broker(settings_of(tmp_path, broker=broker.url))
    assert not found.ok
    assert "refuses a client without a user name" in found.message
    assert "password" in found.advice


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("slimcast_edge.doctor.examine", lambda _settings: iter([good("disk", "fine")]))
    config = tmp_path / "edge.toml"
    config.write_text('device = "cam1"\n')
    assert main(["doctor", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "settings"], ["ok", "disk"]]
    assert main(["doctor", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    config.write_text("threads = 0\ncolour = 1\n")
    assert main(["doctor", "--config", str(config), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    [finding] = document["findings"]
    assert (document["ok"], finding["check"]) == (False, "settings")
    assert "threads" in finding["message"]
    assert "colour" in finding["message"]
    assert main(["doctor", "--config", str(tmp_path / "none.toml")]) == 1
    assert "slimcast-edge init" in capsys.readouterr().out
