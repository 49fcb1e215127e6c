"""The built wheel works as well as the checkout does."""

import json
import os
import shutil
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from support_wait import run_command

pytestmark = pytest.mark.slow(seconds=10)

ROOT = Path(__file__).resolve().parents[1]
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def _run(*command: str | Path, **options) -> str:
    done = run_command(command, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def installed_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a fresh environment with our wheel; dependencies are those of this environment.

    A bare path line in a .pth makes them importable without processing their own .pth files, so the editable
    installation of the checkout stays out.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "test-output", "__pycache__", "tests"))
    _run(sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    wheel = next(folder.glob("slimcast-*.whl"))
    _run(python, *PIP, "install", "--no-deps", wheel)
    purelib = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    (Path(purelib) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_packages_come_from_the_wheel(installed_python: Path, tmp_path: Path):
    names = ("slimcast", "slimcast_edge", "slimcast_web")
    code = f"import {', '.join(names)}; print({', '.join(f'{name}.__file__' for name in names)})"
    places = _run(installed_python, "-c", code, cwd=tmp_path).split()
    assert len(places) == 3
    assert all(Path(place).is_relative_to(installed_python.parents[1]) for place in places)


def test_demo_runs_from_the_wheel(installed_python: Path, tmp_path: Path):
    command = [installed_python.with_name("slimcast"), "demo", "--once"]
    environment = os.environ | {"SLIMCAST_HOME": str(tmp_path / "home"), "PYTHONWARNINGS": "default"}
    done = run_command(command, cwd=tmp_path, env=environment, timeout_s=280)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["correct"] >= 0.9 * summary["frames"] > 0
    assert summary["size_ratio"] > 2
