"""The command line: what it prints where, and its exit codes. The real engine on real digits at the end."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

import slimcast
from slimcast import __main__ as entry
from slimcast.cli import app
from slimcast.records import RunState, Table
from slimcast.settings import Settings
from slimcast.store import Store
from support_search import search_text
from support_store import make_recipe, make_settings, make_variant
from support_wait import PATIENCE, run_python, wait_for

RECIPE = """
name: quick
model: {name: lenet5}
data: {name: digits, train_samples: 400, test_samples: 100}
steps:
  - {kind: train, epochs: 1}
  - {kind: quantize, calibration_samples: 32}
"""
REAL_SEARCH = """
name: quick-search
recipe:
  model: {name: lenet5}
  data: {name: digits, train_samples: 400, test_samples: 100, validation: 80}
  steps:
    - {kind: train, epochs: 1}
    - {kind: quantize, calibration_samples: 32}
space:
  steps.1.calibration_samples: {choices: [16, 48]}
objectives: [accuracy, size_bytes]
budgets: {accuracy_drop: 0.9, size_bytes: 200000}
trials: 2
sampler: random
seed: 0
"""
_COMMANDS = sorted(get_command(app).commands)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = make_settings(tmp_path / "home")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


def slim(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", [c for c in _COMMANDS if c != "recipe"])
def test_every_command_has_help_with_an_example(command: str):
    result = slim(command, "--help")
    assert result.exit_code == 0
    assert "Example:\n    slimcast" in result.stdout


def test_help_lists_the_exit_codes():
    result = slim("--help")
    assert all(f"\n    {code} " in result.stdout for code in (0, 1, 2, 3, 4, 5, 130))


def test_version():
    assert slim("--version").stdout == f"slimcast {slimcast.__version__}\n"


def test_no_runs_yet(settings: Settings):
    result = slim("runs")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "slimcast run RECIPE.yaml" in result.stderr
    assert json.loads(slim("runs", "--json").stdout) == []


def test_runs_and_show(store: Store):
    run = store.create_run(make_recipe("shown"))
    store.claim(run.id, "w")
    store.save_variant(make_variant(run.id))
    store.finish(run.id, RunState.FAILED, "It went wrong.")
    [listed] = json.loads(slim("runs", "--json").stdout)
    assert (listed["run"], listed["state"], listed["error"]) == (run.id, "failed", "It went wrong.")
    assert json.loads(slim("runs", "--json", "--state", "queued").stdout) == []
    shown = json.loads(slim("show", run.id[:9], "--json").stdout)
    assert [variant["name"] for variant in shown["variants"]] == ["0-train"]
    table = slim("show", run.id).stdout
    assert "It went wrong." in table
    assert "0-train" in table


def test_show_prints_the_tables_of_a_run(store: Store):
    run = store.create_run(make_recipe("shown"))
    rows = (("conv1", 0.5, None, 12), ("conv2", 0.5, 1 / 3, 12))
    columns = ("group", "ratio", "accuracy", "macs")
    assert slim("show", run.id, "--table", "x").exit_code == 2
    store.save_table(run.id, Table(name="1-sensitivity", columns=columns, rows=rows))
    assert "1-sensitivity" in slim("show", run.id).stdout
    assert slim("show", run.id, "--table", "1-sensitivity").stdout.splitlines()[1:] == [
        "conv1  0.5    -         12",
        "conv2  0.5    0.333333  12",
    ]
    text = slim("show", run.id, "--table", "1-sensitivity", "--csv").stdout
    assert [tuple(row) for row in csv.reader(io.StringIO(text))] == [
        columns,
        ("conv1", "0.5", "", "12"),
        ("conv2", "0.5", str(1 / 3), "12"),
    ]
    document = json.loads(slim("show", run.id, "--table", "1-sensitivity", "--json").stdout)
    assert document["rows"] == [list(row) for row in rows]
    refused = slim("show", run.id, "--table", "2-x")
    assert refused.exit_code == 2
    assert "1-sensitivity" in refused.stderr


@pytest.mark.parametrize("command", ["show", "resume", "cancel"])
def test_run_that_is_not_there(settings: Settings, command: str):
    result = slim(command, "nobody")
    assert result.exit_code == 3
    assert result.stderr == "slimcast: No run has the id 'nobody'. `slimcast runs` lists those there are.\n"


def test_cancel(store: Store):
    run = store.create_run(make_recipe())
    assert slim("cancel", run.id).exit_code == 0
    assert store.run(run.id).state is RunState.CANCELLED
    assert slim("cancel", run.id).exit_code == 1


def test_publish_of_a_variant_that_is_not_there(store: Store):
    run = store.create_run(make_recipe())
    store.save_variant(make_variant(run.id))
    result = slim("publish", run.id, "--variant", "9-int8", "--device", "cam1")
    assert result.exit_code == 3
    assert "Known: 0-train" in result.stderr


def test_catalog(settings: Settings):
    document = json.loads(slim("catalog", "--json").stdout)
    sections = "models data steps criteria factorizers quantizers cameras runtimes"
    assert list(document) == sections.split()
    assert {"name": "lenet5", "title": "LeNet-5"} in document["models"]
    assert all(set(entry) == {"name", "title"} for entries in document.values() for entry in entries)
    assert "LeNet-5" in slim("catalog").stdout


def test_key_is_made_once(settings: Settings):
    first = slim("key").stdout
    assert len(first) == 45
    assert slim("key").stdout == first


def test_recipe_check(tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text(RECIPE)
    assert slim("recipe", "check", file).exit_code == 0
    file.write_text(RECIPE.replace("lenet5", "lenet6").replace("epochs: 1", "epochs: 0"))
    result = slim("recipe", "check", file)
    assert result.exit_code == 2
    assert "model.name: unknown name 'lenet6'" in result.stderr
    assert "steps.0.epochs" in result.stderr


def test_recipe_with_errors_makes_no_run(store: Store, tmp_path: Path):
    file = tmp_path / "r.yaml"
    file.write_text(RECIPE.replace("kind: train", "kind: trane"))
    result = slim("run", file, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert store.runs() == []


@pytest.mark.parametrize("arguments", [["run"], ["show"], ["nonsense"], ["runs", "--limit", "0"]])
def test_wrong_usage(settings: Settings, arguments: list[str]):
    assert slim(*arguments).exit_code == 2


def test_wrong_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIMCAST_PORT", "http")
    result = slim("runs")
    assert result.exit_code == 2
    assert "SLIMCAST_PORT" in result.stderr


def _slimcast(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "slimcast", *arguments],
        env=os.environ | settings.to_environment() | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_real_run_prints_one_document_and_writes_its_files(settings: Settings, tmp_path: Path):
    recipe, out = tmp_path / "r.yaml", tmp_path / "out"
    recipe.write_text(RECIPE)
    process = _slimcast(settings, "run", str(recipe), "--out", str(out), "--json")
    stdout, stderr = process.communicate(timeout=250 * PATIENCE)
    assert process.returncode == 0, stderr
    document = json.loads(stdout)
    assert set(document) == {"run", "state", "variants"}
    assert document["state"] == "succeeded"
    assert [variant["name"] for variant in document["variants"]] == ["0-train", "1-int8"]
    for variant in document["variants"]:
        assert set(variant) == {
            "name", "step", "numeric_kind", "accuracy", "size_bytes", "compressed_bytes", "params", "macs",
            "latency_ms", "sparsity", "agreement", "artifact",
        }  # fmt: skip
        assert variant["artifact"] == str(out / f"{variant['name']}.onnx")
        assert Path(variant["artifact"]).stat().st_size == variant["size_bytes"]
        assert 0 < variant["latency_ms"]["p50"] <= variant["latency_ms"]["p90"]
    assert document == json.loads((out / "run.json").read_text())
    assert (out / "recipe.yaml").exists()
    assert "Step 0 train: finished" in stderr


def test_search_with_errors_starts_nothing(store: Store, tmp_path: Path):
    file = tmp_path / "s.yaml"
    file.write_text(search_text(trials="trials: no", sampler="sampler: best"))
    result = slim("search", file, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "trials: " in result.stderr
    assert "sampler: " in result.stderr
    assert store.searches.newest() == []
    assert slim("search").exit_code == 2


def test_cancel_knows_searches(store: Store):
    search = store.searches.enqueue("a", "h", "y")
    assert slim("cancel", search.id).exit_code == 0
    assert store.searches.get(search.id).state is RunState.CANCELLED


@pytest.mark.slow(seconds=25)
def test_real_search_finds_a_front_of_ordinary_runs(settings: Settings, store: Store, tmp_path: Path):
    file = tmp_path / "s.yaml"
    file.write_text(REAL_SEARCH)
    process = _slimcast(settings, "search", str(file), "--json")
    stdout, stderr = process.communicate(timeout=250 * PATIENCE)
    assert process.returncode == 0, stderr
    document = json.loads(stdout)
    assert document["state"] == "succeeded"
    assert [trial["end"] for trial in document["trials"]] == ["done", "done"]
    assert document["front"]
    for trial in document["trials"]:
        run = store.run(trial["run"])
        assert run.state is RunState.SUCCEEDED
        last = store.variants(run.id)[-1]
        assert trial["measured"]["size_bytes"] == last.value("size_bytes")
        assert trial["measured"]["accuracy"] == last.value("validation_accuracy")
        assert trial["measured"]["test_accuracy"] == last.value("accuracy")
    # Once more with a budget that nothing meets.
    file.write_text(REAL_SEARCH.replace("size_bytes: 200000", "size_bytes: 1000"))
    again = _slimcast(settings, "search", str(file), "--json")
    stdout, stderr = again.communicate(timeout=250 * PATIENCE)
    assert again.returncode == 5, stderr
    assert json.loads(stdout)["front"] == []
    assert json.loads(stdout)["best_found"] is not None
    assert "No trial keeps all budgets" in stderr


HANGS = """
import sys, types
import support_job
engine = types.ModuleType("slimcast.pipeline")
engine.run_recipe = lambda recipe, *, clocks, **rest: support_job.pipeline(recipe, **rest)
sys.modules["slimcast.pipeline"] = engine
from slimcast.cli import main
main()
"""


def test_a_run_that_must_be_ended_hard_prints_its_document_all_the_same(
    settings: Settings, store: Store, tmp_path: Path
):
    recipe, out = tmp_path / "r.yaml", tmp_path / "out"
    recipe.write_text(make_recipe("native").to_yaml())
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS, "run", str(recipe), "--json", "--out", str(out)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for((settings.home / "first-step-done-native").exists, "the first step is done")
    [run] = store.runs()
    store.request_cancel(run.id)
    stdout, stderr = process.communicate(timeout=60 * PATIENCE)
    assert process.returncode == 130, stderr
    document = json.loads(stdout)
    assert (document["run"], document["state"]) == (run.id, "cancelled")
    assert [variant["name"] for variant in document["variants"]] == ["0-train"]
    assert document == json.loads((out / "run.json").read_text())
    assert f"slimcast resume {run.id}" in stderr


@pytest.mark.slow
def test_real_run_survives_kill_9_and_is_resumed(settings: Settings, store: Store, tmp_path: Path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        RECIPE.replace("- {kind: quantize", "- {kind: finetune, epochs: 1000}\n  - {kind: quantize")
    )
    process = _slimcast(settings, "run", str(recipe), "--json")
    with process:
        wait_for(
            lambda: any(store.checkpoints(run.id) for run in store.runs()),
            "first step is done",
            timeout_s=200,
        )
        process.send_signal(signal.SIGKILL)
    [run] = store.runs()
    kept = store.variants(run.id)
    [interrupted] = store.find_interrupted(silent_for_s=-1)
    assert interrupted.state is RunState.INTERRUPTED
    again = _slimcast(settings, "resume", run.id)
    with again:
        wait_for(lambda: store.run(run.id).progress > 0.05, "the second step goes on", timeout_s=200)
        assert slim("cancel", run.id).exit_code == 0
        assert again.wait(timeout=60 * PATIENCE) == 130
    assert store.run(run.id).state is RunState.CANCELLED
    assert store.variants(run.id) == kept


def test_threads_of_a_run_wait_asleep_unless_the_environment_says_otherwise():
    code = (
        "import os, sys; sys.argv = ['slimcast', '--version']\nimport slimcast.cli as c\n"
        "try: c.main()\nexcept SystemExit: print(os.environ['OMP_WAIT_POLICY'])"
    )
    for given, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
        result = run_python(code, env=environment | ({"OMP_WAIT_POLICY": given} if given else {}))
        assert result.stdout.split()[-1] == expected


def test_where_only_the_client_is_installed_the_command_says_so(monkeypatch):
    monkeypatch.setattr(entry, "NEEDED", ("typer", "no_such_library"))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert "no_such_library missing" in str(ended.value)
    assert "slimcast[studio]" in str(ended.value)
