"""The installer, below a folder of its own: what it makes, that it changes nothing twice, what it leaves."""

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast_edge.settings import load_settings
from slimcast_edge.signing import public_key_to_text
from support_wait import run_command

EDGE = Path(__file__).resolve().parents[2] / "edge_client"
SCRIPT, UNIT = EDGE / "install.sh", EDGE / "slimcast-edge.service"


def install(*arguments, **options):
    return run_command(["sh", SCRIPT, *map(str, arguments)], timeout_s=300, **options)


def snapshot(root):
    """Return every path below a folder with its content, or where it points."""
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if (path.is_symlink() or path.is_file()) and "__pycache__" not in path.parts
    }


def test_the_script_has_no_known_mistakes():
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("needs shellcheck: apt-get install shellcheck")
    done = run_command([shellcheck, str(SCRIPT)])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--colour", "red"], "unknown option --colour"),
        (["--key"], "--key needs a value"),
        (["--root", "here"], "absolute path"),
        (["--root", "/nowhere", "--code", "ABCD"], "--code goes with --studio"),
        (["--purge", "--root", "/nowhere"], "goes with --uninstall"),
        (["--root", "/nowhere", "--package", "/no/such.whl", "--dry-run"], "there is no file /no/such.whl"),
    ],
)
def test_mistakes_are_named(arguments, complaint):
    done = install(*arguments)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_help():
    done = install("--help")
    assert done.returncode == 0
    assert "--uninstall" in done.stdout


@pytest.mark.parametrize("more", [(), ("--uninstall", "--purge")])
def test_a_dry_run_changes_nothing(tmp_path, more):
    (tmp_path / "opt/slimcast").mkdir(parents=True)
    done = install("--root", tmp_path, "--package", "slimcast", "--camera", "video", "--dry-run", *more)
    assert done.returncode == 0, done.stderr
    assert "would: " in done.stdout
    assert "  now: " not in done.stdout
    assert [path.name for path in tmp_path.rglob("*")] == ["opt", "slimcast"]


def test_it_says_when_there_is_no_systemd_and_how_to_enrol():
    done = install("--dry-run", "--package", "slimcast", "--camera", "video")
    assert done.returncode == 0, done.stderr
    no_systemd = not Path("/run/systemd/system").is_dir()
    assert ("systemd does not run here" in done.stdout) is no_systemd
    assert "Look whether all is well" in done.stdout
    if not Path("/var/lib/slimcast-edge").exists():
        assert "slimcast devices enrol NAME" in done.stdout


class TestUnit:
    @pytest.fixture
    def unit(self):
        parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
        parser.optionxform = str
        parser.read(UNIT)
        return parser

    def test_the_watchdog_and_the_folders_are_those_of_the_client(self, unit):
        service = unit["Service"]
        assert (service["Type"], service["Restart"]) == ("notify", "always")
        assert float(service["WatchdogSec"]) >= 60
        assert service["StateDirectory"] == "slimcast-edge"
        assert service["ExecStart"].split()[1:] == ["run", "--config", "/etc/slimcast/edge.toml"]
        assert service["RestartPreventExitStatus"] == "2", "exit code of wrong settings"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("User", "slimcast"),
            ("ProtectSystem", "strict"),
            ("ProtectHome", "yes"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
            ("SystemCallFilter", "@system-service"),
            ("PrivateTmp", "yes"),
        ],
    )
    def test_it_is_hardened(self, unit, name, value):
        assert unit["Service"][name] == value

    def test_no_device_is_hidden_from_the_client(self, unit):
        assert not {"PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock"} & set(unit["Service"])

    def test_systemd_understands_it(self, tmp_path):
        command = shutil.which("systemd-analyze")
        if command is None:
            pytest.skip("needs systemd-analyze: apt-get install systemd")
        copy = tmp_path / UNIT.name
        copy.write_text(UNIT.read_text().replace("/opt/slimcast/venv/bin/slimcast-edge", "/bin/true"))
        done = run_command([command, "verify", str(copy)])
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build our wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = run_command(line, cwd=EDGE.parent)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Return an environment that has all that the client needs, but neither the client nor an index."""
    folder, source = tmp_path_factory.mktemp("packages"), Path(sysconfig.get_path("purelib"))
    for path in source.iterdir():
        # With an underscore: what an editable install leaves; cryptography needs only one of those names.
        is_tool = path.name.startswith(("slimcast", "_", "pip", "setuptools")) or path.suffix == ".pth"
        if not is_tool or path.name.startswith("_cffi_backend"):
            (folder / path.name).symlink_to(path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIMCAST_")}
    return kept | {"PYTHONPATH": str(folder), "PIP_NO_INDEX": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.slow
def test_twice_changes_nothing_and_uninstall_leaves_what_is_the_users(wheel, offline, tmp_path):
    root = tmp_path / "root"
    key = public_key_to_text(Ed25519PrivateKey.generate().public_key())
    line = ["--root", root, "--package", wheel, "--camera", "picamera2", "--device", "hall", "--key", key]

    first = install(*line, env=offline)
    assert first.returncode == 0, first.stderr
    settings = load_settings(root / "etc/slimcast/edge.toml", {})
    assert (settings.device, settings.all_cameras()[0].kind) == ("hall", "picamera2")
    assert str(settings.state_folder) == "/var/lib/slimcast-edge"
    assert (root / "var/lib/slimcast-edge/studio.pub").read_text().strip() == key
    assert (root / "etc/systemd/system/slimcast-edge.service").read_bytes() == UNIT.read_bytes()
    command = root / "usr/local/bin/slimcast-edge"
    assert subprocess.run([command, "--version"], env=offline, capture_output=True, check=True).stdout
    assert (root / "etc/slimcast/edge.toml").stat().st_mode & 0o007 == 0, "a password may stand in it"

    before = snapshot(root)
    second = install(*line, env=offline)
    assert second.returncode == 0, second.stderr
    assert "Nothing was to do." in second.stdout
    assert "now:" not in second.stdout
    assert snapshot(root) == before

    (root / "etc/systemd/system/slimcast-edge.service").write_text("[Service]\n")
    third = install(*line, env=offline)
    assert [row for row in third.stdout.splitlines() if "now:" in row] == [
        f"  now: install the service {root}/etc/systemd/system/slimcast-edge.service"
    ]
    assert snapshot(root) == before

    gone = install("--root", root, "--uninstall")
    assert gone.returncode == 0, gone.stderr
    assert set(snapshot(root)) == {"etc/slimcast/edge.toml", "var/lib/slimcast-edge/studio.pub"}
    assert install("--root", root, "--uninstall", "--purge").returncode == 0
    assert snapshot(root) == {}
