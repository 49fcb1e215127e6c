"""The built wheel works as well as the checkout does."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a fresh environment with our wheel; dependencies are those of this environment.

    A bare path line in a .pth makes them importable without processing their own .pth files, so the editable
    installation of the checkout stays out.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "test-output", "__pycache__", "tests"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
            source,
        ],
        check=True,
        timeout=120,
    )
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    wheel = next(folder.glob("slimcast-*.whl"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True, timeout=120)
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(purelib) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_packages_come_from_the_wheel(installed_python: Path, tmp_path: Path):
    names = ("slimcast", "slimcast_edge", "slimcast_web")
    code = f"import {', '.join(names)}; print({', '.join(f'{name}.__file__' for name in names)})"
    places = subprocess.run(
        [installed_python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout.split()
    assert len(places) == 3
    assert all(Path(place).is_relative_to(installed_python.parents[1]) for place in places)


def test_demo_runs_from_the_wheel(installed_python: Path, tmp_path: Path):
    command = [installed_python.with_name("slimcast"), "demo", "--once"]
    environment = os.environ | {"SLIMCAST_HOME": str(tmp_path / "home"), "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["correct"] >= 0.9 * summary["frames"] > 0
    assert summary["size_ratio"] > 2
