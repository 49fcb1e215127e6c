"""Waiting on conditions: never for a fixed time, and with more patience on a slow machine."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_USUAL_S = 0.4
"""What the probe takes on an idle machine of our time."""


def _slowness() -> float:
    start = time.perf_counter()
    for _ in range(4):
        sum(range(4_000_000))
    return (time.perf_counter() - start) / _USUAL_S


PATIENCE = min(10.0, max(1.0, _slowness()))
"""Factor by which this machine is slower than usual; every timeout of the tests is multiplied by it."""


def wait_for(condition: Callable[[], T], what: str = "the condition", timeout_s: float = 60.0) -> T:
    """Return what `condition` returns once that is true; fail when it does not become true."""
    deadline = time.monotonic() + timeout_s * PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout_s * PATIENCE:.0f} s in vain for {what}.")
        time.sleep(0.02)
    return value
