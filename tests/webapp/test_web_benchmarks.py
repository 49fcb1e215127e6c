"""Latencies of devices on the page Trade-offs, and asking a device for them."""

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.errors import FleetError
from slimcast.fleet.benchmarks import BenchmarkPlan
from slimcast_web.services import benchmarks, tradeoffs
from slimcast_web.services.benchmark_desk import BenchmarkDesk
from support_wait import PATIENCE, wait_for
from support_web import device, finished_run

CLOCK = "cam1: Raspberry Pi 5, 4 cores; onnxruntime 1.31, CPUExecutionProvider, 2 threads"


@pytest.fixture
def points(opened):
    """The variants of a finished run, and a device that is online."""
    opened.hub.known = [device()]
    return tradeoffs.points(opened, [finished_run(opened.store).id])


def measured(opened, *points):
    """Have cam1 measure these, and wait until it has."""
    opened.benchmarks.start("cam1", [(p.variant.artifact, p.title) for p in points], BenchmarkPlan())
    return wait_for(lambda: (one := opened.benchmarks.recent()[0]).finished_at and one, "the benchmark")


def page() -> AppTest:
    test = AppTest.from_string(
        "from slimcast_web.pages import tradeoffs\ntradeoffs.show()", default_timeout=60 * PATIENCE
    )
    return test.run()


def test_a_device_s_figures_are_kept_with_what_is_to_be_known_of_them(opened, points):
    measured(opened, points[3], points[0])
    [one] = benchmarks.of_point(opened, points[3])
    assert (one.clock, one.p50_ms) == (CLOCK, 4.0)
    assert "slowed itself down" in benchmarks.remarks(one)
    assert "1.25 times slower" in benchmarks.remarks(one)
    assert benchmarks.of_point(opened, points[1]) == []
    again = tradeoffs.points(opened, [points[0].run.id])
    assert len(tradeoffs.machines(again)) == 2, "the device is one of those that have measured"


def test_a_device_that_refuses_is_an_error_that_can_be_read(opened, points):
    opened.hub.refusal = "cam1 did not measure: no room."
    assert measured(opened, points[0]).error == "cam1 did not measure: no room."
    assert benchmarks.of_point(opened, points[0]) == []


def test_one_benchmark_at_a_time_for_each_device(opened, points, monkeypatch):
    monkeypatch.setattr(BenchmarkDesk, "_run", lambda self, asked, plan: None)
    model = [(points[0].variant.artifact, "m")]
    opened.benchmarks.start("cam1", model, BenchmarkPlan())
    opened.benchmarks.start("cam2", model, BenchmarkPlan())
    with pytest.raises(FleetError, match="measuring already"):
        opened.benchmarks.start("cam1", model, BenchmarkPlan())


def test_the_page_asks_a_device_and_shows_what_it_measured(opened, points):
    test = page()
    assert not test.exception
    next(button for button in test.button if button.label == "Measure").click().run()
    assert not test.exception
    wait_for(lambda: opened.hub.measured, "the device to be asked")
    wait_for(lambda: opened.benchmarks.recent()[0].finished_at, "the benchmark")
    [(name, what)] = opened.hub.measured
    assert (name, what.pause) == ("cam1", False)
    assert [sha256 for sha256, _ in what.models] == [points[3].variant.artifact]
    test = page()
    assert not test.exception
    assert any(CLOCK in frame.value.to_string() for frame in test.dataframe)


def test_without_a_device_the_page_says_so(opened, points):
    opened.hub.known = [device(online=False)]
    test = page()
    assert any("No device is online" in caption.value for caption in test.caption)
    assert "Measure" not in [button.label for button in test.button]
