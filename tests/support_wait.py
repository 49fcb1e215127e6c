"""Waiting on conditions and processes: never for a fixed time, and with more patience on a slow machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_USUAL_LOOP_S = 0.4
_USUAL_START_S = 0.3
"""What the probes take on an idle machine of our time."""


def _slowness() -> float:
    """Measure two things: how fast the processor counts, and how fast a process with libraries starts.

    A virtual machine that pays dearly for each page of memory is slow at the second alone.
    """
    start = time.perf_counter()
    for _ in range(4):
        sum(range(4_000_000))
    loop_s = time.perf_counter() - start
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import asyncio, numpy, ssl"], check=True)
    start_s = time.perf_counter() - start
    return max(loop_s / _USUAL_LOOP_S, start_s / _USUAL_START_S)


SLOWNESS = min(20.0, max(1.0, _slowness()))
"""Factor by which this machine is slower than usual."""

PATIENCE = SLOWNESS * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
"""Every timeout of the tests is multiplied by it: tests that run side by side share the machine."""


def run_command(
    command: Sequence[str | Path], *, timeout_s: float = 120.0, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; its exit code, stdout and stderr are for the test to look at."""
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=timeout_s * PATIENCE, **options
    )


def run_python(code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a few lines in a fresh interpreter."""
    return run_command([sys.executable, "-c", code], **options)


def wait_for(condition: Callable[[], T], what: str = "the condition", timeout_s: float = 60.0) -> T:
    """Return what `condition` returns once that is true; fail when it does not become true."""
    deadline = time.monotonic() + timeout_s * PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout_s * PATIENCE:.0f} s in vain for {what}.")
        time.sleep(0.02)
    return value
