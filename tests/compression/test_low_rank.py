import copy
import dataclasses

import pytest
import torch
from torch import nn

from slimcast.catalog import FACTORIZERS, MODELS
from slimcast.errors import RecipeError, StepError
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.models.build import NetworkSpec, build
from slimcast.models.factors import Factors, factorized
from slimcast.models.layers import weighted_layers
from slimcast.models.state import load_state, save_state
from slimcast.pipeline import run_recipe
from slimcast.prune import low_rank_cp, low_rank_tucker
from slimcast.prune.low_rank import FactorPlan, factorize
from slimcast.prune.low_rank_svd import Place, RankRule, split
from slimcast.recipe import parse_recipe
from slimcast.reporting import SilentReporter
from slimcast.settings import Settings
from slimcast_edge.artifact import InputSpec
from support_engine import LENET, MemoryStore, RecordingReporter
from support_networks import DEEP, LARGE, SAME_OPERATIONS, light, networks

PLACE = Place(positions_in=64, positions_out=64)

RECIPE = """
version: 1
name: low-rank
model: {{name: lenet5}}
data: {{name: digits, train_samples: 1000, test_samples: 100}}
steps:
  - {{kind: train, epochs: 2, batch_size: 32}}
  - {step}
  - {{kind: finetune, epochs: 2, batch_size: 32, learning_rate: 0.002}}
  - {{kind: quantize, calibration_samples: 32}}
"""


def _network(name: str):
    spec = NetworkSpec(model=name, classes=10, channels=3, image_size=MODELS[name].smallest)
    return light(spec), torch.rand(1, 3, spec.image_size, spec.image_size), spec


def _some_layers(model: nn.Module) -> tuple[str, ...]:
    """A few layers that are not large: what is tested is that they find their place in every network."""
    fit = [
        (layer.weight.ndim, name)
        for name, layer in list(weighted_layers(model).items())[1:-1]
        if getattr(layer, "groups", 1) == 1 and 1_000 < layer.weight.numel() < 400_000
    ]
    windows = [n for n in fit if n[0] == 4 and model.get_submodule(n[1]).kernel_size != (1, 1)]
    chosen = tuple(name for _, name in [*windows[:2], *[n for n in fit if n not in windows][:2]])
    assert chosen, "without a name all layers would be factorized"
    return chosen


def _low_rank_conv(rank: int, **moves) -> nn.Conv2d:
    """A 3x3 convolution, 24 -> 32, whose kernel is a sum of `rank` outer products."""
    torch.manual_seed(3)
    conv = nn.Conv2d(24, 32, 3, **moves)
    outputs, inputs, window = torch.randn(32, rank), torch.randn(24, rank), torch.randn(9, rank)
    with torch.no_grad():
        conv.weight.copy_(torch.einsum("or,ir,kr->oik", outputs, inputs, window).reshape(32, 24, 3, 3) / 9)
    return conv


def _assert_same(layer: nn.Module, factors: nn.Module, image: torch.Tensor, rtol: float = 1e-4) -> None:
    with torch.no_grad():
        wanted, found = layer(image), factors(image)
    assert found.shape == wanted.shape
    assert float((found - wanted).norm() / wanted.norm()) < rtol


class TestSplit:
    @pytest.mark.parametrize(("inputs", "outputs"), [(40, 30), (30, 40)])
    def test_a_matrix_of_low_rank_is_kept_whole(self, inputs, outputs):
        layer = nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(outputs, 5) @ torch.randn(5, inputs))
        found = split(layer, RankRule(energy=1 - 1e-9, share=None, round_to=1), PLACE)
        assert found.ranks == (5,)
        assert found.energy == pytest.approx(1)
        _assert_same(layer, found.factors, torch.randn(7, inputs))

    def test_the_truncation_is_the_best_there_is(self):
        layer = nn.Linear(40, 30)
        found = split(layer, RankRule(energy=0.8, share=None, round_to=1), PLACE)
        (rank,) = found.ranks
        values = torch.linalg.svdvals(layer.weight.detach().double()) ** 2
        assert values[: rank - 1].sum() < 0.8 * values.sum() <= values[:rank].sum()
        assert found.energy == pytest.approx(float(values[:rank].sum() / values.sum()))
        product = (found.factors[1].weight @ found.factors[0].weight).detach()
        lost = ((product - layer.weight.detach()) ** 2).sum() / (layer.weight.detach() ** 2).sum()
        assert float(lost) == pytest.approx(1 - found.energy, rel=1e-3)

    @pytest.mark.parametrize("stride", [1, 2])
    def test_a_pointwise_convolution_is_a_matrix_too(self, stride):
        conv = nn.Conv2d(16, 24, 1, stride=stride)
        with torch.no_grad():
            conv.weight.copy_((torch.randn(24, 4) @ torch.randn(4, 16))[:, :, None, None])
        found = split(conv, RankRule(energy=1 - 1e-9, share=None, round_to=1), PLACE)
        assert found.ranks == (4,)
        _assert_same(conv, found.factors, torch.randn(2, 16, 8, 8))

    def test_nothing_to_save_is_none(self):
        assert split(nn.Linear(10, 10), RankRule(energy=1.0, share=None, round_to=1), PLACE) is None

    def test_ranks_are_rounded_up_only_where_that_still_saves(self):
        wide, narrow = nn.Linear(100, 100), nn.Linear(12, 12)
        rule = RankRule(energy=None, share=0.3, round_to=8)
        assert split(wide, rule, PLACE).ranks == (32,)
        assert split(narrow, rule, PLACE).ranks == (4,)


class TestTucker:
    @pytest.mark.parametrize(
        "moves",
        [{"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"bias": False}, {"padding": (1, 0)}],
    )
    def test_a_kernel_of_low_rank_is_kept_whole(self, moves):
        conv = _low_rank_conv(4, **moves)
        found = low_rank_tucker.tucker(conv, RankRule(energy=1 - 1e-9, share=None, round_to=1), PLACE)
        assert found.ranks == (4, 4)
        assert [layer.kernel_size for layer in found.factors] == [(1, 1), (3, 3), (1, 1)]
        _assert_same(conv, found.factors, torch.randn(2, 24, 9, 9))

    def test_full_rank_is_the_kernel_itself(self):
        kernel = torch.randn(7, 5, 3, 3, dtype=torch.float64)
        left, core, right = low_rank_tucker.decompose(kernel, 7, 5)
        again = torch.einsum("or,rskl,is->oikl", left, core, right)
        assert torch.allclose(again, kernel, atol=1e-10)

    @pytest.mark.parametrize(("ranks", "layers"), [((32, 4), 2), ((4, 24), 2)])
    def test_a_side_of_full_rank_needs_no_layer(self, ranks, layers):
        conv = nn.Conv2d(24, 32, 3, padding=1)
        out_rank, in_rank = ranks
        left, core, right = low_rank_tucker.decompose(conv.weight.detach().double(), out_rank, in_rank)
        factors = low_rank_tucker._three(conv, left, core, right)
        assert len(factors) == layers
        expected = copy.deepcopy(conv)
        with torch.no_grad():
            expected.weight.copy_(torch.einsum("or,rskl,is->oikl", left, core, right))
        _assert_same(expected, factors, torch.randn(2, 24, 8, 8))

    def test_iterations_are_no_worse_than_the_first_guess(self, monkeypatch):
        torch.manual_seed(0)
        kernel = torch.randn(20, 16, 3, 3, dtype=torch.float64)
        _, core, _ = low_rank_tucker.decompose(kernel, 6, 6)
        monkeypatch.setattr(low_rank_tucker, "_ITERATIONS", 1)
        _, first, _ = low_rank_tucker.decompose(kernel, 6, 6)
        assert (core**2).sum() >= (first**2).sum()

    def test_its_cost_is_counted_where_each_layer_works(self):
        conv = nn.Conv2d(24, 32, 3, stride=2, padding=1)
        place = Place(positions_in=64, positions_out=16)
        found = low_rank_tucker.tucker(conv, RankRule(energy=None, share=0.25, round_to=1), place)
        image = torch.zeros(1, 24, 8, 8)
        assert found.macs_before == count_macs(nn.Sequential(conv), image)
        assert found.macs == count_macs(found.factors, image)


class TestCp:
    @pytest.mark.parametrize("moves", [{"padding": 1}, {"stride": 2, "padding": 1}, {"bias": False}])
    def test_a_sum_of_outer_products_is_found_again(self, moves):
        conv = _low_rank_conv(3, **moves)
        found = low_rank_cp.cp(conv, RankRule(energy=0.9999, share=None, round_to=1), PLACE)
        assert found.ranks == (3,)
        assert [layer.groups for layer in found.factors] == [1, 3, 1]
        _assert_same(conv, found.factors, torch.randn(2, 24, 9, 9), rtol=0.02)

    def test_the_energy_that_it_tells_is_what_is_left(self):
        torch.manual_seed(1)
        kernel = torch.randn(12, 10, 9, dtype=torch.float64)
        (outputs, inputs, window), fit = low_rank_cp.decompose(kernel, 20)
        again = torch.einsum("or,ir,kr->oik", outputs, inputs, window)
        assert 1 - float(((again - kernel) ** 2).sum() / (kernel**2).sum()) == pytest.approx(fit, abs=1e-9)
        assert 0.3 < fit < 1

    def test_its_cost_is_counted_where_each_layer_works(self):
        conv = nn.Conv2d(24, 32, 3, stride=2, padding=1)
        place = Place(positions_in=64, positions_out=16)
        found = low_rank_cp.cp(conv, RankRule(energy=None, share=0.1, round_to=1), place)
        assert found.macs == count_macs(found.factors, torch.zeros(1, 24, 8, 8))

    def test_energy_that_only_too_many_products_keep_is_none(self):
        torch.manual_seed(2)
        conv = nn.Conv2d(16, 16, 3, padding=1)
        assert low_rank_cp.cp(conv, RankRule(energy=0.999, share=None, round_to=1), PLACE) is None

    def test_a_kernel_of_zeros_is_no_trouble(self):
        conv = nn.Conv2d(16, 16, 3, bias=False)
        nn.init.zeros_(conv.weight)
        found = low_rank_cp.cp(conv, RankRule(energy=0.9, share=None, round_to=1), PLACE)
        assert torch.count_nonzero(found.factors(torch.randn(1, 16, 5, 5))) == 0


@pytest.mark.parametrize("method", FACTORIZERS.names())
@pytest.mark.parametrize("name", networks(*LARGE, *DEEP, without=SAME_OPERATIONS))
def test_every_network_is_cheaper_loads_again_and_exports(name, method, tmp_path):
    model, image, spec = _network(name)
    before = copy.deepcopy(model.state_dict())
    rule = RankRule(energy=None, share=0.15, round_to=1)
    plan = FactorPlan(method=method, rule=rule, layers=_some_layers(model))
    smaller, layers = factorize(model, image, plan, reporter=SilentReporter())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    saved = sum(layer.macs_before - layer.macs for layer in layers)
    assert all(layer.macs < layer.macs_before for layer in layers)
    assert count_macs(model, image) - count_macs(smaller, image) == saved > 0
    assert count_parameters(smaller) < count_parameters(model)
    path = tmp_path / "factorized.safetensors"
    path.write_bytes(save_state(smaller, spec))
    loaded, _ = load_state(path)
    with torch.no_grad():
        assert torch.equal(loaded(image), smaller(image))
    size = InputSpec(height=spec.image_size, width=spec.image_size, channels=3)
    export_onnx(loaded, size=size, mean=(0.5,) * 3, std=(0.2,) * 3, classes=10)


def test_first_convolution_classifier_groups_and_frozen_layers_are_left_alone():
    model, image, _ = _network("mobilenet_v2")
    frozen = "features.18.0"
    model.get_submodule(frozen).requires_grad_(False)
    plan = FactorPlan(method="tucker", rule=RankRule(energy=None, share=0.2, round_to=1))
    smaller, layers = factorize(model, image, plan, reporter=SilentReporter())
    names = [layer.name for layer in layers]
    assert len(names) > 20
    assert set(names) == set(factorized(smaller))
    depthwise = {name for name, layer in weighted_layers(model).items() if getattr(layer, "groups", 1) > 1}
    assert not depthwise & set(names)
    assert not {"features.0.0", "classifier.1", frozen} & set(names)


def test_patterns_choose_and_keep():
    model, image = build(LENET), torch.zeros(1, 1, 32, 32)
    rule = RankRule(energy=None, share=0.3, round_to=1)
    plan = FactorPlan(method="tucker", rule=rule, layers=("fc*",), keep=("fc2",))
    _, layers = factorize(model, image, plan, reporter=SilentReporter())
    assert [layer.name for layer in layers] == ["fc1", "fc3"]
    with pytest.raises(StepError, match="'nosuch' fits no layer"):
        factorize(model, image, dataclasses.replace(plan, layers=("nosuch",)), reporter=SilentReporter())


def test_factors_are_not_factorized_again():
    model, image = build(LENET), torch.zeros(1, 1, 32, 32)
    plan = FactorPlan(method="tucker", rule=RankRule(energy=None, share=0.4, round_to=1))
    once, _ = factorize(model, image, plan, reporter=SilentReporter())
    with pytest.raises(StepError, match="No layer was factorized"):
        factorize(once, image, plan, reporter=SilentReporter())


def test_an_energy_that_saves_nothing_says_what_to_do():
    plan = FactorPlan(method="tucker", rule=RankRule(energy=1.0, share=None, round_to=1))
    with pytest.raises(StepError, match=r"energy 1 .* Lower it"):
        factorize(build(LENET), torch.zeros(1, 1, 32, 32), plan, reporter=SilentReporter())


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{kind: factorize, energy: 0.9, rank: 0.5}", "steps.1: give either energy or rank"),
        ("{kind: factorize, energy: 1.2}", "steps.1.energy: must be at most 1"),
        ("{kind: factorize, method: qr}", "steps.1.method: unknown name 'qr'; known: cp, tucker"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(step, problem):
    with pytest.raises(RecipeError, match=problem):
        parse_recipe(RECIPE.format(step=step))


def test_zeros_are_not_filled_again():
    text = RECIPE.format(step="{kind: sparsify}").replace(
        "finetune, epochs: 2, batch_size: 32, learning_rate: 0.002", "factorize"
    )
    with pytest.raises(RecipeError, match=r"steps\.2: 'factorize' would fill the zeros"):
        parse_recipe(text)


@pytest.mark.slow
@pytest.mark.parametrize("method", FACTORIZERS.names())
def test_a_run_with_factors_ends_in_an_artifact(tmp_path, method):
    settings = Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)})
    settings = dataclasses.replace(settings, data_root=tmp_path)
    store = MemoryStore(tmp_path)
    step = f"{{kind: factorize, method: {method}, rank: 0.25, round_to: 1}}"
    trained, low, tuned, int8 = run_recipe(
        parse_recipe(RECIPE.format(step=step)),
        run_id="r",
        store=store,
        settings=settings,
        reporter=RecordingReporter(),
    )
    assert low.value("macs") < trained.value("macs")
    assert low.value("params") < 0.6 * trained.value("params")
    assert low.value("agreement") == 1
    assert tuned.value("accuracy") > 0.5
    assert int8.value("size_bytes") < low.value("size_bytes")
    (table,) = store.tables("r")
    assert table.name == "1-factors"
    assert "fc1" in [row[0] for row in table.rows]
    tuned_model, _ = load_state(store.artifacts.local_path(store.checkpoints("r")[2].file))
    assert isinstance(tuned_model.fc1, Factors)
