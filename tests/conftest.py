"""What all tests share: time limits that know how fast the machine is, and what is not yet proven."""

import os
from pathlib import Path

import pytest

from support_wait import PATIENCE

HERE = Path(__file__).parent
UNPROVEN = {
    HERE / line
    for line in (HERE / "unproven.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--unproven", action="store_true", help="also run the files of tests/unproven.txt")


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    # Before pytest-timeout reads it.
    os.environ.setdefault("PYTEST_TIMEOUT", str(int(300 * PATIENCE)))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    named = [Path(argument.split("::")[0]).resolve() for argument in config.args]
    if collection_path in UNPROVEN and not config.option.unproven and collection_path not in named:
        return True
    return None


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [f"patience: {PATIENCE:.1f} (every timeout is multiplied by it)"]
    if not config.option.unproven and UNPROVEN:
        lines.append(f"left out: {len(UNPROVEN)} files of tests/unproven.txt; run them too with --unproven")
    return lines
