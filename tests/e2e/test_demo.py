"""The demo as a person starts it, without a browser; and what it does when it cannot go on."""

import fcntl
import json
import os
import socket
import sys

import pytest

from support_wait import run_command

pytestmark = pytest.mark.slow(seconds=20)


KEYS = {
    "baseline_accuracy",
    "accuracy",
    "size_ratio",
    "latency_ratio",
    "frames",
    "correct",
    "swap_gap_ms",
    "seconds",
}


def _demo(home, **environment):
    return run_command(
        [sys.executable, "-m", "slimcast", "demo", "--once"],
        env=os.environ | {"SLIMCAST_HOME": str(home), "OMP_NUM_THREADS": "1"} | environment,
        timeout_s=280,
    )


def test_demo_shows_the_whole_main_job(tmp_path):
    with socket.socket() as taken:  # the usual port is in use: the demo takes another and says so
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _demo(tmp_path, SLIMCAST_BROKER_PORT=str(port))
    assert done.returncode == 0, done.stderr
    assert f"port {port} is in use" in done.stderr
    summary = json.loads(done.stdout)
    assert set(summary) == KEYS
    assert summary["baseline_accuracy"] > 0.95
    assert summary["accuracy"] > 0.95
    assert summary["size_ratio"] > 3
    assert summary["frames"] >= 90
    assert summary["correct"] > 0.9 * summary["frames"]
    assert summary["swap_gap_ms"] > 0


def test_second_demo_in_the_same_folder_says_so(tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _demo(tmp_path)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "A demo is running" in done.stderr
    assert "SLIMCAST_HOME" in done.stderr
