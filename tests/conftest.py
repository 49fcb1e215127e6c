"""What all tests share: time limits that know how fast the machine is, and what a slow one leaves out."""

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

# Before PyTorch loads OpenMP: tests that run side by side must not take the cores from each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from support_wait import PATIENCE, SLOWNESS

TOO_SLOW = 5.0
"""Times slower than usual. What takes a minute on an ordinary machine then takes longer than a CI job may."""

SLOW_S, QUICK_S = 3.0, 0.15
"""What a test takes, about, that says nothing of it: one that is marked slow, and any other."""

LONGEST_TEST_S = 1200
"""No test takes longer on any machine, unless it hangs."""

_STARTED = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run tests marked slow on a slow machine as well")
    parser.addoption(
        "--minutes",
        type=float,
        help="start no test after so many minutes; the rest is skipped, with that reason",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    # Before pytest-timeout reads it.
    os.environ.setdefault("PYTEST_TIMEOUT", str(int(min(LONGEST_TEST_S, 300 * PATIENCE))))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _longest_files_first(items)
    if SLOWNESS <= TOO_SLOW or config.option.slow:
        return
    reason = f"this machine is {SLOWNESS:.0f} times slower than usual; run it all the same with --slow"
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def _longest_files_first(items: list[pytest.Item]) -> None:
    """Workers take whole files: who gets a long one last works on alone. Within a file nothing changes."""
    seconds: dict[Path, float] = defaultdict(float)
    for item in items:
        slow = item.get_closest_marker("slow")
        seconds[item.path] += slow.kwargs.get("seconds", SLOW_S) if slow is not None else QUICK_S
    items.sort(key=lambda item: -seconds[item.path])


@pytest.fixture(autouse=True)
def _latencies_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second for each artifact is for those who read the figure; here thirty runs of it do."""
    if make := sys.modules.get("slimcast.export.make"):
        monkeypatch.setattr(make, "LATENCY_SECONDS", 0.05)


def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = item.config.option.minutes
    if minutes is not None and time.monotonic() - _STARTED > 60 * minutes:
        pytest.skip(f"the {minutes:g} minutes of --minutes are over")


def pytest_report_header() -> str:
    return f"slowness: {SLOWNESS:.1f} (multiplies every timeout; above {TOO_SLOW:g} slow tests are skipped)"
