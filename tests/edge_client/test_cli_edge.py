import json
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast.ports import free_port
from slimcast_edge.cli import enroll, main
from slimcast_edge.settings import load_settings
from slimcast_edge.signing import public_key_to_text
from support_artifacts import make_artifact, write_artifact
from support_wait import run_command, run_python


@pytest.fixture
def config(tmp_path):
    """Settings that name a state folder of their own."""
    path = tmp_path / "edge.toml"
    path.write_text(f'device = "cam1"\nstate_folder = "{tmp_path / "state"}"\n[camera]\nkind = "video"\n')
    return path


def test_bench_prints_its_contract(tmp_path, capsys):
    model = write_artifact(tmp_path / "m.onnx", make_artifact())
    assert main(["bench", str(model), "--json", "--seconds", "0.05"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"provider", "threads", "latency_ms", "rss_mb"}
    assert set(document["latency_ms"]) == {"p50", "p90", "p99"}
    assert document["threads"] == 1
    assert document["rss_mb"] > 10
    assert main(["bench", str(model), "--seconds", "0.05"]) == 0
    assert "p50" in capsys.readouterr().out


def test_bench_says_what_is_to_be_known_beside_the_figures(tmp_path, capsys, monkeypatch):
    model = write_artifact(tmp_path / "m.onnx", make_artifact())
    heat = iter([52.0, 61.0])
    monkeypatch.setattr("slimcast_edge.telemetry.temperature_c", lambda: next(heat))
    monkeypatch.setattr("slimcast_edge.telemetry.throttled", iter([False, True]).__next__)
    monkeypatch.setattr("slimcast_edge.bench.is_busy", lambda: True)
    assert main(["bench", str(model), "--seconds", "0.05"]) == 0
    said = capsys.readouterr().out
    assert "52 °C before, 61 °C after" in said
    assert "slowed itself down" in said
    assert "Other programs" in said


def test_bench_of_what_is_no_model(tmp_path, capsys):
    assert main(["bench", str(tmp_path / "none.onnx")]) == 1
    assert "Cannot read the model" in capsys.readouterr().err


def test_enroll_pins_a_key(config, tmp_path, capsys):
    key = public_key_to_text(Ed25519PrivateKey.generate().public_key())
    assert main(["enroll", "--config", str(config), "--key", key]) == 0
    assert (tmp_path / "state" / "studio.pub").read_text().strip() == key
    assert "Pinned" in capsys.readouterr().out
    assert main(["enroll", "--config", str(config), "--key", "nonsense"]) == 2
    assert "no public key" in capsys.readouterr().err
    assert (tmp_path / "state" / "studio.pub").read_text().strip() == key


def test_init_writes_a_file_once(tmp_path, capsys):
    path = tmp_path / "edge.toml"
    assert main(["init", str(path), "--camera", "video"]) == 0
    assert 'kind = "video"' in path.read_text()
    assert main(["init", str(path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["init", str(path), "--force"]) == 0
    assert 'kind = "picamera2"' in path.read_text()


def test_init_with_choices(tmp_path, capsys):
    path = tmp_path / "edge.toml"
    chosen = ["--set", "device=007", "--set", "threads=2", "--set", "home_assistant=true"]
    assert main(["init", str(path), "--camera", "video", *chosen]) == 0
    settings = load_settings(path, {})
    assert (settings.device, settings.threads, settings.home_assistant) == ("007", 2, True)
    assert "# site = " in path.read_text()
    for wrong in ("threads=0", "colour=red", "camera=video"):
        assert main(["init", str(tmp_path / "no.toml"), "--set", wrong]) == 2
        assert wrong.partition("=")[0] in capsys.readouterr().err
    assert not (tmp_path / "no.toml").exists()


def test_run_with_wrong_settings_says_so(tmp_path, capsys):
    assert main(["run", "--config", str(tmp_path / "none.toml")]) == 2
    assert "slimcast-edge init" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "bench", "doctor", "enroll", "init"])
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert "Example: slimcast-edge" in capsys.readouterr().out


def test_a_camera_that_cannot_be_opened_ends_the_run_with_a_sentence(tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text(f'state_folder = "{tmp_path}"\n[camera]\nkind = "folder"\npath = "{tmp_path}/none"\n')
    line = [sys.executable, "-m", "slimcast_edge", "run", "--config", str(config)]
    done = run_command(line)
    assert done.returncode == 1
    assert "There is no folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_client_loads_no_studio():
    """Neither torch nor any library that only the studio has."""
    code = (
        "import sys, slimcast_edge.cli, slimcast_edge.client\n"
        "import slimcast_edge.deploy.machine, slimcast_edge.settings\n"
        "studio = {'torch', 'onnx', 'streamlit', 'sqlalchemy', 'cv2', 'scipy', 'yaml', 'slimcast'}\n"
        "heavy = studio & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_a_studio_that_is_not_reached_is_said_with_what_to_do(tmp_path, capsys):
    config = tmp_path / "edge.toml"
    config.write_text(f'state_folder = "{tmp_path / "state"}"\n')
    line = ["enroll", "--config", str(config), "--code", "A7G8-SXXR-RVNR", "--studio"]
    assert main([*line, f"http://127.0.0.1:{free_port()}"]) == 1
    assert "nothing listens there" in capsys.readouterr().err
    assert main([*line, "http://nohost.invalid:8501"]) == 1
    said = capsys.readouterr().err
    assert "no host has that name" in said
    assert "Errno" not in said


def test_a_code_is_not_used_up_beside_the_settings_of_the_service(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(enroll, "INSTALLED_CONFIG", tmp_path / "edge.toml")
    (tmp_path / "edge.toml").write_text("")
    assert main(["enroll", "--studio", "http://127.0.0.1:9", "--code", "A7G8-SXXR-RVNR"]) == 2
    assert f"--config {tmp_path / 'edge.toml'}" in capsys.readouterr().err
