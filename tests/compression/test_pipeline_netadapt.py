import json
from dataclasses import replace

import pytest
import torch

from slimcast.errors import Cancelled, RecipeError, StepError
from slimcast.measure.cost import Cost, count_macs, count_parameters
from slimcast.measure.trace import layers_of
from slimcast.models.build import NetworkSpec, build
from slimcast.pipeline import layer_costs, netadapt_tools, run_recipe
from slimcast.pipeline.job import Job
from slimcast.pipeline.netadapt import epochs_of, run_netadapt
from slimcast.pipeline.netadapt_tools import NetAdaptTools
from slimcast.recipe import NetAdaptStep, parse_recipe
from slimcast.reporting import ScaledReporter, SilentReporter
from slimcast.settings import Settings
from slimcast_edge.bench import LayerTime
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet

RECIPE = """
version: 1
name: tiny
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 3, batch_size: 32}
  - {kind: netadapt, TARGET, round_to: 2, first_step: 0.12, short_finetune_batches: 4, finetune_epochs: 0.5,
     batch_size: 32, choice_images: 100}
"""
MACS = RECIPE.replace("TARGET", "target: {macs: 0.5}")


def _run(text, folder, reporter=None, store=None):
    folder.mkdir(exist_ok=True)
    settings = Settings.from_environment({"SLIMCAST_HOME": str(folder / "home")})
    store = store or MemoryStore(folder)
    reporter = reporter or RecordingReporter()
    recipe = parse_recipe(text)
    return run_recipe(recipe, run_id="r", store=store, settings=settings, reporter=reporter), store, reporter


def _job(folder, text=MACS, spec=LENET):
    return Job(
        recipe=parse_recipe(text),
        run_id="r",
        store=MemoryStore(folder),
        data=digits(),
        network=spec,
        threads=1,
    )


class CancelledAfterIterations(RecordingReporter):
    """Somebody cancels once the history has so many iterations."""

    def __init__(self, iterations):
        super().__init__()
        self._iterations = iterations

    def check_cancelled(self):
        if len(self.tables.get("1-netadapt", ((), ()))[1]) > self._iterations:
            raise Cancelled("Cancelled by the test.")


@pytest.mark.slow
def test_a_budget_of_macs_is_met_and_an_interrupted_run_comes_to_the_same_end(tmp_path):
    [train, adapted], _, reporter = _run(MACS, tmp_path / "whole")
    assert adapted.value("macs") <= 0.5 * train.value("macs") * 1.02
    assert adapted.value("accuracy") > 0.8
    columns, rows = reporter.tables["1-netadapt"]
    assert columns[:6] == ("iteration", "group", "channels", "accuracy", "predicted_macs", "measured_macs")
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert rows[0][-1] == "6 16 120 84"
    assert rows[-1][4] == rows[-1][5] == adapted.value("macs")  # counted and predicted alike
    assert reporter.fractions == sorted(reporter.fractions)
    assert not (tmp_path / "whole" / "home" / "cache" / "unfinished" / "r-1").exists()

    folder = tmp_path / "cut"
    folder.mkdir()
    store = MemoryStore(folder)
    with pytest.raises(Cancelled):
        _run(MACS, folder, CancelledAfterIterations(2), store)
    [_, resumed], _, reporter = _run(MACS, folder, store=store)
    assert ("info", "NetAdapt goes on after iteration 2") in reporter.logs
    assert resumed.artifact == adapted.artifact
    assert reporter.tables["1-netadapt"][1] == rows


@pytest.mark.slow
@pytest.mark.parametrize("numbers", ["float32", "int8"])
def test_a_budget_of_latency_is_predicted_and_measured(tmp_path, numbers):
    # How long LeNet-5 takes depends on what else runs: all that is asked is that the search comes to an end.
    text = RECIPE.replace("TARGET", f"target: {{latency_ms: 0.9, numbers: {numbers}}}, iterations: 2")
    [train, adapted], _, reporter = _run(text, tmp_path / numbers)
    columns, rows = reporter.tables["1-netadapt-result"]
    assert columns == ("network", "predicted_latency_ms", "measured_latency_ms", "predicted_off_by")
    [before, after] = rows
    assert before[1] == before[2] > 0
    assert after[3] == pytest.approx(after[1] / after[2] - 1)
    assert adapted.value("macs") <= train.value("macs")
    assert any(text.startswith("NetAdapt took") for _, text in reporter.logs)


@pytest.mark.parametrize("numbers", ["float32", "int8"])
def test_a_budget_of_latency_is_met_by_a_clock_that_is_never_disturbed(tmp_path, monkeypatch, numbers):
    looked = []

    def measure_layer(graph, **_conditions):
        looked.append(graph)
        return LayerTime(ms=len(graph) / 4e5, runs=8)

    def costs(job, numbers, *, reporter):
        return {"latency_ms": Cost(name="latency_ms", unit="ms", of=_params_per_ms, exact=False)}

    monkeypatch.setattr(layer_costs, "measure_layer", measure_layer)
    monkeypatch.setattr(layer_costs, "is_busy", lambda: False)
    monkeypatch.setattr(netadapt_tools, "costs_of", costs)
    text = RECIPE.replace("TARGET", f"target: {{latency_ms: 0.7, numbers: {numbers}}}")
    job = _job(tmp_path, text.replace("batches: 4", "batches: 0").replace("epochs: 0.5", "epochs: 0"))
    job = replace(job, cache_folder=tmp_path / "cache")
    reporter = RecordingReporter()
    model = run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(reporter, 0, 1))
    assert _params_per_ms(model) <= 0.7 * _params_per_ms(trained_lenet()) * 1.02
    tables = list((tmp_path / "cache" / "latency").glob("*.json"))
    assert len(tables) == (2 if numbers == "int8" else 1)  # the first convolution stays in float
    assert sum(len(json.loads(table.read_text())["layers"]) for table in tables) == len(looked)


def _params_per_ms(model):
    return count_parameters(model) / 1e5


def test_a_budget_of_bytes(tmp_path):
    text = RECIPE.replace("TARGET", "target: {bytes: 0.6}").replace("batches: 4", "batches: 0")
    job = _job(tmp_path, text.replace("finetune_epochs: 0.5", "finetune_epochs: 0"))
    reporter = RecordingReporter()
    model = run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(reporter, 0, 1))
    _, [before, after] = reporter.tables["1-netadapt-result"]
    assert after[2] <= 0.6 * before[2] * 1.02
    assert after[1] == pytest.approx(after[2], rel=0.02)
    assert model is not trained_lenet()


def test_a_target_below_what_remains_is_explained(tmp_path):
    job = _job(tmp_path, RECIPE.replace("TARGET", "target: {macs: 0.01}"))
    with pytest.raises(
        StepError, match=r"cannot reach a budget of 4,165 macs: about [\d,]+ macs of 416,520 macs"
    ):
        run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(SilentReporter(), 0, 1))


def test_layers_to_keep_stay(tmp_path):
    text = RECIPE.replace("TARGET", "target: {macs: 0.7}, keep: ['conv*']").replace(
        "batches: 4", "batches: 0"
    )
    job = _job(tmp_path, text.replace("0.7", "0.9").replace("finetune_epochs: 0.5", "finetune_epochs: 0"))
    reporter = RecordingReporter()
    run_netadapt(job, 1, job.recipe.steps[1], trained_lenet(), ScaledReporter(reporter, 0, 1))
    assert {row[1] for row in reporter.tables["1-netadapt"][1]} <= {"", "fc1", "fc2"}


@pytest.mark.parametrize(
    "name",
    [
        "lenet5",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenet_v2", "resnet20", "alexnet")),
    ],
)
def test_what_is_computed_of_a_cut_is_what_the_cut_network_has(tmp_path, name):
    spec = NetworkSpec(model=name, classes=10, channels=1, image_size=32)
    job = _job(tmp_path, MACS.replace("lenet5", name), spec)
    step = NetAdaptStep(kind="netadapt", target={"macs": 0.5}, round_to=2, learning_rate=0.1)
    model = build(spec)
    tools = NetAdaptTools(job, 1, step, model, SilentReporter())
    groups, layers = tools.groups(model), tools.layers(model)
    assert groups
    chosen = groups if len(groups) < 6 else [groups[0], groups[len(groups) // 2], groups[-1]]
    for group in chosen:
        narrower = tools.narrow(model, group, group.widths[len(group.widths) // 2])
        changed = group.at(group.widths[len(group.widths) // 2], layers)
        assert layers_of(narrower, job.example) == layers | changed
        assert count_macs(narrower, job.example) == tools.measure(narrower) < tools.measure(model)
    assert narrower(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("target", "path", "message"),
    [
        (
            "target: {macs: 0.5, bytes: 0.5}",
            "steps.1.target",
            "exactly one of latency_ms, macs, bytes; has macs",
        ),
        ("target: {}", "steps.1.target", "has none"),
        ("target: {latency_ms: 0}", "steps.1.target.latency_ms", "more than 0"),
        ("target: {macs: 0.5}, criterion: l9", "steps.1.criterion", "unknown name 'l9'"),
        ("target: {macs: 0.5}, decay: 2", "steps.1.decay", "at most 1"),
    ],
)
def test_a_wrong_step_is_found_before_anything_runs(target, path, message):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(RECIPE.replace("TARGET", target))
    [(found_path, found)] = caught.value.problems
    assert found_path == path
    assert message in found


def test_the_bar_knows_that_more_has_to_be_done_for_a_smaller_target():
    steps = [NetAdaptStep(kind="netadapt", target={"macs": share}) for share in (0.9, 0.5, 0.01, 1e6)]
    near, half, far, absolute = (epochs_of(step) for step in steps)
    assert 0 < near < half < far < 1000
    assert absolute == half
