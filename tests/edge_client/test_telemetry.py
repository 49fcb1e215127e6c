"""What a device says of its own well-being, on a Raspberry Pi and elsewhere."""

import os
import stat

import pytest

from slimcast_edge import telemetry


@pytest.fixture(autouse=True)
def nothing_found_yet():
    telemetry._find.cache_clear()
    yield
    telemetry._find.cache_clear()


def test_memory_is_more_than_an_interpreter_and_less_than_a_machine():
    assert 5 < telemetry.rss_mb() < 1e5


def test_the_hottest_sensible_zone_counts(tmp_path):
    for number, text in enumerate(("41234\n", "55000\n", "-274000\n", "nonsense")):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "temp").write_text(text)
    assert telemetry.temperature_c(tmp_path) == 55.0
    assert telemetry.temperature_c(tmp_path / "none") is None


@pytest.mark.parametrize(("pmic", "hottest"), [("100000", 41.0), ("50000", 41.0), ("120000", 120.0)])
def test_the_power_chip_of_a_jetson_is_no_thermometer(tmp_path, pmic, hottest):
    for number, (kind, text) in enumerate((("CPU-therm", "41000"), ("PMIC-Die", pmic))):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(f"{text}\n")
    assert telemetry.temperature_c(tmp_path) == hottest


@pytest.mark.parametrize(
    ("text", "slow"), [("0\n", False), ("50000\n", False), ("50005\n", True), ("x", None)]
)
def test_throttling_is_read_from_the_kernel(tmp_path, text, slow):
    path = tmp_path / "get_throttled"
    path.write_text(text)
    assert telemetry.throttled(path, "nothing-of-that-name") is slow


def test_throttling_is_asked_of_vcgencmd_where_the_kernel_does_not_say(tmp_path, monkeypatch):
    command = tmp_path / "vcgencmd-for-this-test"
    command.write_text("#!/bin/sh\necho throttled=0x50002\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(telemetry, "_ASK_TIMEOUT_S", 60.0)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert telemetry.throttled(tmp_path / "none", command.name) is True


def test_elsewhere_no_process_is_started_in_vain(tmp_path, monkeypatch):
    def start(*_args, **_options):
        raise AssertionError("a process was started")

    monkeypatch.setattr(telemetry.subprocess, "run", start)
    for _ in range(2):
        assert telemetry.throttled(tmp_path / "none", "nothing-of-that-name") is None
