import copy
import dataclasses

import pytest
import torch
from torch import nn

from slimcast.errors import Cancelled, RecipeError, StepError
from slimcast.measure.cost import Cost, count_macs, count_parameters
from slimcast.models.build import NetworkSpec, build
from slimcast.models.state import load_state
from slimcast.pipeline import run_recipe
from slimcast.pipeline.sensitivity import ratios_from_sensitivity
from slimcast.prune.evidence import Evidence
from slimcast.prune.plan import PrunePlan
from slimcast.prune.search import Goal
from slimcast.prune.sensitivity import Finding, SensitivityPlan, sensitivity, tolerated
from slimcast.prune.structured import prune
from slimcast.recipe import parse_recipe
from slimcast.records import Table
from slimcast.reporting import SilentReporter
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast.train.fit import accuracy
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet
from support_store import make_settings

CPU = torch.device("cpu")

RECIPE = """
version: 1
name: sensitive
model: {name: lenet5}
data: {name: digits, train_samples: 1000, test_samples: 200}
steps:
  - {kind: train, epochs: 3, batch_size: 32}
  - {kind: sensitivity, ratios: [0.25, 0.5, 0.75], images: 100}
  - {kind: prune, ratios_from: sensitivity, max_drop: 0.1, target: {macs: 0.6}, round_to: 1}
"""


def _sensitivity(model, *, ratios=(0.5,), evaluate=lambda _: 1.0, keep=(), reporter=None, **more):
    return sensitivity(
        model,
        torch.zeros(1, 1, 32, 32),
        SensitivityPlan(ratios=ratios, keep=keep),
        criterion="l2",
        evidence=Evidence(model=model),
        evaluate=evaluate,
        reporter=reporter or SilentReporter(),
        **more,
    )


def _finding(group: str, ratio: float, accuracy: float) -> Finding:
    return Finding(group=group, layers=(group,), ratio=ratio, channels=1, accuracy=accuracy, macs=1)


def test_each_group_is_pruned_alone_and_the_network_stays():
    model, widths = build(LENET), []
    before = copy.deepcopy(model.state_dict())

    def look(network: nn.Module) -> float:
        widths.append([network.get_submodule(n).weight.shape[0] for n in ("conv1", "conv2", "fc1", "fc2")])
        return 1.0

    found = _sensitivity(model, ratios=(0.5, 0.25), evaluate=look)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [(one.group, one.ratio) for one in found] == [
        (group, ratio) for group in ("conv1", "conv2", "fc1", "fc2") for ratio in (0.0, 0.25, 0.5)
    ]
    whole = [6, 16, 120, 84]
    assert widths[0] == whole
    assert all(sum(a != b for a, b in zip(row, whole, strict=True)) == 1 for row in widths[1:])
    assert [one.channels for one in found if one.group == "fc1"] == [120, 90, 60]


def test_what_is_measured_is_a_really_smaller_network():
    model = trained_lenet()
    found = _sensitivity(
        model, ratios=(0.5,), evaluate=lambda n: accuracy(n, digits(), device=CPU, reporter=SilentReporter())
    )
    image = torch.zeros(1, 1, 32, 32)
    assert {one.macs for one in found if one.ratio == 0} == {count_macs(model, image)}
    conv2 = next(one for one in found if one.group == "conv2" and one.ratio == 0.5)
    assert count_macs(model, image) - conv2.macs == 8 * 6 * 25 * 100 + 8 * 25 * 120
    assert conv2.accuracy < found[0].accuracy


def test_a_width_is_measured_once():
    calls = []
    _sensitivity(
        build(LENET), ratios=(0.01, 0.02, 0.5), evaluate=lambda n: calls.append(n) or 1.0, keep=("fc*",)
    )
    assert len(calls) == 3  # the whole network, half of conv1, half of conv2


def test_kept_layers_are_left_out_and_keeping_all_is_an_error():
    assert {one.group for one in _sensitivity(build(LENET), keep=("conv*",))} == {"fc1", "fc2"}
    with pytest.raises(StepError, match="No group of layers"):
        _sensitivity(build(LENET), keep=("*",))


def test_it_tells_as_it_goes_and_can_be_cancelled():
    told = []
    _sensitivity(build(LENET), told=lambda found: told.append(len(found)))
    assert told == [2, 4, 6, 8]
    reporter = RecordingReporter(cancel_when=(0, "started"))
    reporter.step(0, "sensitivity", "started")
    with pytest.raises(Cancelled):
        _sensitivity(build(LENET), reporter=reporter)


def test_groups_over_residual_connections_are_one():
    spec = NetworkSpec(model="resnet20", classes=10, channels=3, image_size=32)
    model = build(spec)
    found = sensitivity(
        model,
        torch.zeros(1, 3, 32, 32),
        SensitivityPlan(ratios=(0.5,)),
        criterion="l2",
        evidence=Evidence(model=model),
        evaluate=lambda network: float(network(torch.zeros(1, 3, 32, 32)).isfinite().all()),
        reporter=SilentReporter(),
    )
    assert all(one.accuracy == 1 for one in found)
    assert max(len(one.layers) for one in found) >= 4


def test_the_tolerated_ratio_ends_at_the_first_that_costs_too_much():
    found = [
        _finding("a", 0.0, 0.9), _finding("a", 0.5, 0.85), _finding("a", 0.3, 0.89), _finding("a", 0.7, 0.6),
        _finding("b", 0.0, 0.9), _finding("b", 0.3, 0.5), _finding("b", 0.5, 0.9),
        _finding("c", 0.0, 0.9), _finding("c", 0.3, 0.95),
    ]  # fmt: skip
    assert tolerated(found, 0.05) == {"a": 0.5, "b": 0.0, "c": 0.3}
    assert tolerated(found, 0.02) == {"a": 0.3, "b": 0.0, "c": 0.3}
    assert tolerated(found, 0.4) == {"a": 0.7, "b": 0.5, "c": 0.3}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("ratios: [0.25, 0.5, 0.75]", "ratios: [0.5, 1.0]"), r"steps\.1\.ratios\.1: must be less than 1"),
        (("images: 100", "criterion: l9"), r"steps\.1\.criterion: unknown name 'l9'"),
        (("kind: sensitivity, ratios: [0.25, 0.5, 0.75], images: 100", "kind: finetune"),
         r"steps\.2: .*needs a step 'sensitivity' before it"),
        (("round_to: 1", "scope: global"), r"steps\.2: ratios_from .* scope"),
        (("ratios_from: sensitivity, ", ""), r"steps\.2: max_drop says something only with ratios_from"),
        (("round_to: 1", "ratios: {conv1: 0.5}"), r"steps\.2: give either ratios or ratios_from"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_meant_is_refused(change, problem):
    text = RECIPE.replace(*change)
    assert text != RECIPE
    with pytest.raises(RecipeError, match=problem):
        parse_recipe(text)


def _widths_after(**wish) -> dict[str, float]:
    """The share of channels that each group of LeNet-5 has lost."""
    plan = PrunePlan(round_to=1, **wish)
    model = build(LENET)
    pruned, _ = prune(model, torch.zeros(1, 1, 32, 32), plan, reporter=SilentReporter())
    names = ("conv1", "conv2", "fc1", "fc2")
    counts = [(n, model.get_submodule(n), pruned.get_submodule(n)) for n in names]
    return {name: 1 - new.weight.shape[0] / old.weight.shape[0] for name, old, new in counts}


@pytest.mark.parametrize("value", [0.85, 0.7])
def test_groups_give_in_proportion_to_what_they_tolerate_until_the_target_is_met(value):
    goal = Goal(cost=Cost(name="params", unit="", of=count_parameters), value=value)
    gone = _widths_after(goal=goal, shares={"conv2": 0.0, "fc1": 0.6, "fc2": 0.3})
    assert gone["conv1"] == gone["conv2"] == 0, "not known, and not tolerated"
    assert gone["fc1"] / gone["fc2"] == pytest.approx(2, rel=0.15)


def test_without_a_target_each_group_gives_just_what_it_tolerates():
    ratios = {"conv2": 0.0, "fc1": 0.5, "fc2": 0.25}
    gone = _widths_after(goal=None, ratios=ratios, shares=ratios)
    assert gone == {"conv1": 0, "conv2": 0, "fc1": 0.5, "fc2": 0.25}


class TestRun:
    @pytest.fixture
    def settings(self, tmp_path):
        settings = Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)})
        return dataclasses.replace(settings, data_root=tmp_path)

    @pytest.mark.slow
    def test_the_table_decides_what_is_pruned(self, tmp_path, settings):
        store, reporter = MemoryStore(tmp_path), RecordingReporter()
        recipe = parse_recipe(RECIPE)
        variants = run_recipe(recipe, run_id="r", store=store, settings=settings, reporter=reporter)
        assert [variant.name for variant in variants] == ["0-train", "2-prune"]
        assert variants[1].value("macs") <= 0.6 * variants[0].value("macs") * 1.001
        (table,) = [one for one in store.tables("r") if one.name == "1-sensitivity"]
        assert reporter.tables["1-sensitivity"] == (table.columns, table.rows)
        assert table.columns == ("group", "layers", "ratio", "channels", "accuracy", "macs")
        assert len(table.rows) == 4 * 4
        files = [checkpoint.file for checkpoint in store.checkpoints("r")]
        assert files[0] == files[1], "the network stays as it was"
        pruned, _ = load_state(store.artifacts.local_path(files[2]))
        limit = ratios_from_sensitivity(_job(recipe, store), 2, 0.1)
        left = {"conv1": 6, "conv2": 16, "fc1": 120, "fc2": 84}
        gone = {n: 1 - pruned.get_submodule(n).weight.shape[0] / count for n, count in left.items()}
        for one, share in gone.items():
            assert (share == 0) == (limit[one] == 0)
        used = [(limit[n], share) for n, share in gone.items() if limit[n]]
        factors = [share / ratio for ratio, share in used]
        assert max(factors) - min(factors) < 0.6, "all groups give in proportion to what they tolerate"

    @pytest.mark.slow
    def test_a_run_goes_on_after_it_without_doing_it_again(self, tmp_path, settings):
        store = MemoryStore(tmp_path)
        recipe = parse_recipe(RECIPE)
        with pytest.raises(Cancelled):
            run_recipe(
                recipe, run_id="r", store=store, settings=settings,
                reporter=RecordingReporter(cancel_when=(2, "started")),
            )  # fmt: skip
        reporter = RecordingReporter()
        run_recipe(recipe, run_id="r", store=store, settings=settings, reporter=reporter)
        assert reporter.steps[:2] == [(0, "train", "skipped"), (1, "sensitivity", "skipped")]


def test_without_a_table_or_with_too_small_a_drop_it_says_what_to_do(tmp_path):
    store = Store.open(make_settings(tmp_path))
    recipe = parse_recipe(RECIPE)
    run = store.create_run(recipe)
    job = _job(recipe, store, run.id)
    with pytest.raises(StepError, match="run the step 'sensitivity' first"):
        ratios_from_sensitivity(job, 2, 0.1)
    rows = (("a", "a", 0.0, 8, 0.9, 1), ("a", "a", 0.5, 4, 0.2, 1))
    columns = ("group", "layers", "ratio", "channels", "accuracy", "macs")
    store.save_table(run.id, Table(name="1-sensitivity", columns=columns, rows=rows))
    store.close()
    job = _job(recipe, Store.open(make_settings(tmp_path)), run.id)
    with pytest.raises(StepError, match="Raise max_drop"):
        ratios_from_sensitivity(job, 2, 0.1)
    assert ratios_from_sensitivity(job, 2, 0.8) == {"a": 0.5}
    job.store.close()


@dataclasses.dataclass
class _Job:
    recipe: object
    store: object
    run_id: str


def _job(recipe, store, run_id="r") -> _Job:
    return _Job(recipe, store, run_id)
