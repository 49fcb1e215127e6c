import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from slimcast.errors import RecipeError, StepError
from slimcast.models.build import NetworkSpec, build
from slimcast.models.layers import weighted_layers
from slimcast.models.state import load_state
from slimcast.pipeline import run_recipe
from slimcast.prune.unstructured import SparsityPlan, sparsify, sparsity_of, zeros_held
from slimcast.recipe import parse_recipe
from slimcast.reporting import SilentReporter
from slimcast.settings import Settings
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet
from support_networks import LARGE, light, networks, spec_of

_LARGE_LAYER = 5_000_000  # weights: kept, since their zeros are like others and take long

RECIPE = """
version: 1
name: sparse
model: {{name: lenet5}}
data: {{name: digits, train_samples: 400, test_samples: 100}}
steps:
  - {{kind: train, epochs: 1, batch_size: 32}}
  - {step}
  - {{kind: finetune, epochs: 1, batch_size: 32}}
"""


def _zeros(model) -> dict[str, torch.Tensor]:
    return {name: m.weight.detach() == 0 for name, m in weighted_layers(model).items()}


def _share(model, without: tuple[str, ...] = ()) -> float:
    trained = {name for name, layer in weighted_layers(model).items() if layer.weight.requires_grad}
    trained -= set(without)
    masks = [mask for name, mask in _zeros(model).items() if name in trained]
    return float(sum(mask.sum() for mask in masks) / sum(mask.numel() for mask in masks))


@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("name", networks(*LARGE))
def test_the_share_of_zeros_is_the_ratio_and_the_original_stays(name, scope):
    model = light(spec_of(name, channels=3, classes=10))
    before = copy.deepcopy(model.state_dict())
    large = tuple(n for n, layer in weighted_layers(model).items() if layer.weight.numel() > _LARGE_LAYER)
    plan = SparsityPlan(ratio=0.7, scope=scope, keep=large)
    sparse = sparsify(model, plan, reporter=SilentReporter())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert _share(sparse, without=large) == pytest.approx(0.7, abs=1e-3)
    assert list(sparse.state_dict()) == list(before), "no mask may be left"
    fixed = {name for name, layer in weighted_layers(model).items() if not layer.weight.requires_grad}
    assert all(torch.equal(sparse.get_parameter(f"{n}.weight"), before[f"{n}.weight"]) for n in fixed)
    layers = [one.zeros / one.weights for one in sparsity_of(sparse) if one.name not in {*fixed, *large}]
    if scope == "local":
        assert layers == pytest.approx([0.7] * len(layers), abs=0.05)
    else:
        assert max(layers) - min(layers) > 0.05


def test_the_smallest_weights_go_first():
    model = build(LENET)
    sparse = sparsify(model, SparsityPlan(ratio=0.4), reporter=SilentReporter())
    weights = torch.cat([m.weight.detach().flatten() for m in weighted_layers(model).values()])
    expected = weights.abs().argsort()[: round(0.4 * len(weights))]
    found = torch.cat([mask.flatten() for mask in _zeros(sparse).values()]).nonzero().flatten()
    assert torch.equal(found, expected.sort().values)


def test_equal_weights_do_not_go_together():
    model = nn.Sequential(nn.Linear(10, 10))
    nn.init.constant_(model[0].weight, 0.5)
    sparse = sparsify(model, SparsityPlan(ratio=0.33), reporter=SilentReporter())
    assert int((sparse[0].weight == 0).sum()) == 33


@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize(("ratio", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_bounds_of_the_ratio_are_legal(scope, ratio, share):
    sparse = sparsify(build(LENET), SparsityPlan(ratio=ratio, scope=scope), reporter=SilentReporter())
    assert _share(sparse) == share


def test_layers_have_their_own_ratio_or_are_kept():
    plan = SparsityPlan(ratio=0.5, scope="global", ratios={"fc*": 0.9}, keep=("conv1",))
    found = {one.name: one for one in sparsity_of(sparsify(build(LENET), plan, reporter=SilentReporter()))}
    assert found["conv1"].zeros == 0
    assert found["conv2"].zeros == round(0.5 * found["conv2"].weights)
    assert found["fc2"].zeros == round(0.9 * found["fc2"].weights)


@pytest.mark.parametrize("plan", [SparsityPlan(keep=("nosuch*",)), SparsityPlan(ratios={"nosuch*": 0.1})])
def test_a_pattern_that_fits_nothing_is_an_error_that_names_the_layers(plan):
    with pytest.raises(StepError, match=r"'nosuch\*' fits no layer.*conv1"):
        sparsify(build(LENET), plan, reporter=SilentReporter())


def test_keeping_everything_is_an_error():
    with pytest.raises(StepError, match="keep fewer"):
        sparsify(build(LENET), SparsityPlan(keep=("*",)), reporter=SilentReporter())


@pytest.mark.parametrize("kept_of", [(2, 4), (1, 4), (1, 2), (4, 8)])
@pytest.mark.parametrize("rounds", [1, 3])
def test_every_group_of_m_inputs_keeps_its_n_largest(kept_of, rounds):
    n, m = kept_of
    spec = NetworkSpec(model="mobilenet_v2", classes=10, channels=3, image_size=32)
    model, reporter = build(spec), RecordingReporter()
    sparse = sparsify(model, SparsityPlan(kept_of=kept_of, rounds=rounds), reporter=reporter)
    assert "features.0.0" in reporter.logs[0][1], "three channels do not come in groups"
    checked = 0
    for name, layer in weighted_layers(sparse).items():
        weight = layer.weight.detach().numpy()
        if weight.shape[1] % m:
            assert np.count_nonzero(weight) == weight.size
            continue
        full = weighted_layers(model)[name].weight.detach().numpy()
        groups = np.moveaxis(weight, 1, -1).reshape(-1, m)
        whole = np.abs(np.moveaxis(full, 1, -1).reshape(-1, m))
        assert (np.count_nonzero(groups, axis=1) == n).all()
        assert np.allclose(np.abs(groups).sum(1), np.sort(whole, axis=1)[:, m - n :].sum(1))
        checked += 1
    assert checked > 30


def test_rounds_end_at_the_ratio_and_never_give_a_zero_back():
    shares, masks = [], []

    def look(model, index):
        fit(
            model, digits(), TrainingPlan(epochs=0.1), reporter=SilentReporter(), after_step=zeros_held(model)
        )
        shares.append(_share(model))
        masks.append(_zeros(model))

    plan = SparsityPlan(ratio=0.9, rounds=3)
    sparse = sparsify(trained_lenet(), plan, reporter=SilentReporter(), after_round=look)
    assert shares == pytest.approx([0.9 * (1 - (2 / 3) ** 3), 0.9 * (1 - (1 / 3) ** 3)], abs=1e-3)
    assert _share(sparse) == pytest.approx(0.9, abs=1e-3)
    for earlier, later in [(masks[0], masks[1]), (masks[1], _zeros(sparse))]:
        assert all((later[name] | ~mask).all() for name, mask in earlier.items())


def test_zeros_stay_zero_in_training_and_the_rest_learns():
    sparse = sparsify(trained_lenet(), SparsityPlan(ratio=0.8), reporter=SilentReporter())
    before, masks = copy.deepcopy(sparse), _zeros(sparse)
    plan = TrainingPlan(epochs=0.5, batch_size=32)
    fit(sparse, digits(), plan, reporter=SilentReporter(), after_step=zeros_held(sparse))
    for name, layer in weighted_layers(sparse).items():
        assert (layer.weight[masks[name]] == 0).all()
        assert not torch.equal(layer.weight, weighted_layers(before)[name].weight)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{kind: sparsify, ratio: 1.1}", "steps.1.ratio: must be at most 1"),
        ("{kind: sparsify, ratios: {conv1: -0.1}}", "steps.1.ratios.conv1: must be at least 0"),
        ("{kind: sparsify, pattern: '4:2'}", "steps.1: pattern must be N:M"),
        ("{kind: sparsify, pattern: half}", "steps.1: pattern must be N:M"),
        ("{kind: sparsify, pattern: '2:4', ratio: 0.5}", "steps.1: pattern .* leave out ratio"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(step, problem):
    with pytest.raises(RecipeError, match=problem):
        parse_recipe(RECIPE.format(step=step))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "share"),
    [
        ("{kind: sparsify, ratio: 0.75, rounds: 2, finetune_epochs: 0.5}", 0.75),
        ("{kind: sparsify, pattern: '2:4', keep: [conv2]}", 29_460 / 61_470),
        ("{kind: sparsify, ratio: 1}", 1.0),
    ],
)
def test_a_finetune_step_keeps_the_zeros(tmp_path, step, share):
    settings = Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)})
    settings = dataclasses.replace(settings, data_root=tmp_path)
    store, reporter = MemoryStore(tmp_path), RecordingReporter()
    recipe = parse_recipe(RECIPE.format(step=step))
    _, sparse, tuned = run_recipe(recipe, run_id="r", store=store, settings=settings, reporter=reporter)
    assert sparse.value("sparsity") == tuned.value("sparsity") == pytest.approx(share, abs=1e-4)
    assert sparse.value("agreement") == 1
    assert sparse.value("compressed_bytes") < 0.75 * store.variants("r")[0].value("compressed_bytes")
    before, after = (
        load_state(store.artifacts.local_path(store.checkpoints("r")[index].file))[0] for index in (1, 2)
    )
    assert all(torch.equal(mask, _zeros(after)[name]) for name, mask in _zeros(before).items())
    assert any("dense kernels gain no speed" in text for _, text in reporter.logs)
    warned = any(level == "warning" and "No weight is left" in text for level, text in reporter.logs)
    assert warned == (share == 1)
    (table,) = store.tables("r")
    assert table.name == "1-sparsity"
    assert [row[0] for row in table.rows] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert sum(row[2] for row in table.rows) / sum(row[1] for row in table.rows) == pytest.approx(
        share, abs=1e-4
    )
