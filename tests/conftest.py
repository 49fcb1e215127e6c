"""What all tests share: time limits that know how fast the machine is, and what a slow one leaves out."""

import os

import pytest

from support_wait import PATIENCE

TOO_SLOW = 5.0
"""Times slower than usual. What takes a minute on an ordinary machine then takes longer than a CI job may."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run tests marked slow on a slow machine as well")


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    # Before pytest-timeout reads it.
    os.environ.setdefault("PYTEST_TIMEOUT", str(int(300 * PATIENCE)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if PATIENCE <= TOO_SLOW or config.option.slow:
        return
    reason = f"this machine is {PATIENCE:.0f} times slower than usual; run it all the same with --slow"
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_report_header() -> str:
    return f"patience: {PATIENCE:.1f} (multiplies every timeout; above {TOO_SLOW:g} slow tests are skipped)"
