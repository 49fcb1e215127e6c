"""NetAdapt by the latency of a device: the recipe, the run, and a device that is away for a while."""

import json
from dataclasses import replace

import pytest

from slimcast.errors import FleetError, RecipeError, StepError
from slimcast.fleet.clocks import RETRY_AFTER_S, FleetClock
from slimcast.measure.cost import count_parameters
from slimcast.pipeline.job import Job
from slimcast.pipeline.netadapt import run_netadapt
from slimcast.recipe import parse_recipe
from slimcast.reporting import ScaledReporter
from slimcast_edge.artifact_file import read_info
from slimcast_edge.bench import LayerTime
from slimcast_edge.wire import About, LayerFigures, Measured, ModelFigures
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet

RECIPE = """
version: 1
name: tiny
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 3, batch_size: 32}
  - {kind: netadapt, machine: "device:cam1", target: {latency_ms: 0.8, numbers: float32}, round_to: 2,
     first_step: 0.12, short_finetune_batches: 0, finetune_epochs: 0, choice_images: 100}
"""
ABOUT = About(
    session="s1", hardware="Pi", os="Linux", client="0.1.0", camera="synthetic", runtime="onnxruntime",
    threads=2, machine="Raspberry Pi 5, 4 cores", runtime_version="onnxruntime 1.31.1",
)  # fmt: skip


class Clock:
    """A device on which time is bytes: a layer's by its file, a network's by the artifact."""

    machine, runtime, threads, disturbed = "device cam1: Pi 5", "onnxruntime 1.31", 2, False

    def __init__(self):
        self.layers, self.models = [], []

    def layer(self, graph, *, beside_bytes):
        self.layers.append(graph)
        return LayerTime(ms=len(graph) / 1e4, runs=20)

    def model_ms(self, artifact, name):
        self.models.append(read_info(artifact).name)
        return len(artifact) / 1e5


def _job(folder, **changes):
    job = Job(
        recipe=parse_recipe(RECIPE),
        run_id="r",
        store=MemoryStore(folder),
        data=digits(),
        network=LENET,
        threads=1,
        cache_folder=folder / "cache",
    )
    return replace(job, **changes)


def test_the_device_s_clock_decides_and_its_table_is_its_own(tmp_path):
    clock, asked = Clock(), []

    def clocks(name):
        asked.append(name)
        return clock

    job, reporter = _job(tmp_path, clocks=clocks), RecordingReporter()
    model = run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(reporter, 0, 1))
    assert asked == ["cam1"]
    assert count_parameters(model) < count_parameters(trained_lenet())
    assert set(clock.models) == {"tiny/draft"}
    [table] = (tmp_path / "cache" / "latency").glob("*.json")
    document = json.loads(table.read_text())
    assert document["conditions"]["machine"] == "device cam1: Pi 5"
    assert (document["conditions"]["runtime"], document["conditions"]["threads"]) == ("onnxruntime 1.31", 2)
    assert len(document["layers"]) == len(clock.layers)
    assert any("Latencies are those of device cam1: Pi 5" in text for _, text in reporter.logs)

    again = Clock()  # the next run reads what was measured
    job = _job(tmp_path, clocks=lambda _name: again)
    run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(reporter, 0, 1))
    assert again.layers == []


def test_what_was_measured_on_a_busy_device_is_not_kept(tmp_path):
    clock = Clock()
    clock.disturbed = True
    job = _job(tmp_path, clocks=lambda _name: clock)
    run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(RecordingReporter(), 0, 1))
    assert clock.layers
    assert not (tmp_path / "cache" / "latency").exists()


def test_a_run_without_a_way_to_devices_says_so(tmp_path):
    job = _job(tmp_path)
    with pytest.raises(StepError, match="'cam1', and this run has no way to devices"):
        run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(RecordingReporter(), 0, 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("latency_ms: 0.8, numbers: float32", "macs: 0.5"), "latency_ms only"),
        (("device:cam1", "device:"), "machine"),
        (("device:cam1", "device:../cam1"), "machine"),
        (("device:cam1", "there"), "machine"),
    ],
)
def test_a_recipe_that_names_no_device_is_refused(change, said):
    with pytest.raises(RecipeError, match=said):
        parse_recipe(RECIPE.replace(*change))


def test_here_is_the_default():
    step = parse_recipe(RECIPE.replace('machine: "device:cam1", ', "")).steps[1]
    assert (step.machine, step.device) == ("here", "")


class Device:
    """Answers what the test says: an error, or figures."""

    def __init__(self, *answers):
        self.answers, self.asked, self.slept = list(answers), [], []

    def measure(self, device, what, timeout_s):
        self.asked.append(what)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def clock(self):
        return FleetClock("cam1", ABOUT, self.measure, sleep=self.slept.append)


def figures(**changes):
    fields = {"machine": ABOUT.machine, "runtime": ABOUT.runtime_version, "threads": 2, "camera": "paused"}
    return Measured(**fields | changes)


LAYER = figures(layers=[LayerFigures(ms=0.5, runs=20)], busy=True)
MODEL = figures(
    models=[
        ModelFigures(
            sha256="a" * 64, provider="x", p50_ms=4, p90_ms=5, p99_ms=6, mean_ms=4, std_ms=0.1, runs=9
        )
    ]
)


def test_the_camera_is_paused_and_the_conditions_are_the_device_s():
    device = Device(LAYER, MODEL)
    clock = device.clock()
    assert (clock.machine, clock.runtime, clock.threads) == (
        "device cam1: Raspberry Pi 5, 4 cores", "onnxruntime 1.31.1", 2,
    )  # fmt: skip
    assert clock.layer(b"graph", beside_bytes=7) == LayerTime(ms=0.5, runs=20)
    assert clock.disturbed
    assert clock.model_ms(b"artifact", "draft") == 4
    assert not clock.disturbed
    layer, model = device.asked
    assert (layer.layers, layer.beside_bytes, layer.pause) == ((b"graph",), 7, True)
    [(sha256, name)] = model.models
    assert (model.contents, name, model.pause) == ({sha256: b"artifact"}, "draft", True)


def test_a_device_that_was_away_is_asked_again():
    device = Device(FleetError("cam1 is offline."), FleetError("No broker."), LAYER)
    assert device.clock().layer(b"graph", beside_bytes=0).ms == 0.5
    assert device.slept == list(RETRY_AFTER_S[:2])


def test_a_device_that_stays_away_ends_the_run():
    device = Device(*[FleetError("cam1 is offline.")] * 4)
    with pytest.raises(FleetError, match="offline"):
        device.clock().layer(b"graph", beside_bytes=0)
    assert device.slept == list(RETRY_AFTER_S)


@pytest.mark.parametrize(
    "change", [{"machine": "Pi 4"}, {"runtime": "onnxruntime 1.32"}, {"threads": 4}], ids=str
)
def test_a_device_that_has_become_another_ends_the_run(change):
    changed = LAYER.model_copy(update=change)
    with pytest.raises(FleetError, match="has changed since the run began"):
        Device(*[changed] * 4).clock().layer(b"graph", beside_bytes=0)
