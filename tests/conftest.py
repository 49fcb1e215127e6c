"""What all tests share: a time limit for each that knows how fast the machine is."""

import os

import pytest

from support_wait import PATIENCE


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Before pytest-timeout reads it.
    os.environ.setdefault("PYTEST_TIMEOUT", str(int(300 * PATIENCE)))


def pytest_report_header() -> str:
    return f"patience: {PATIENCE:.1f} (every timeout is multiplied by it)"
