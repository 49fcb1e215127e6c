"""Layers with few bits: what they compute, what their gradients are, and that a checkpoint keeps them."""

import copy

import pytest
import torch
from torch import nn

from slimcast.errors import ModelError, StepError
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.models.build import build
from slimcast.models.lowbit import (
    Scheme,
    levels_of,
    lowbit_layers,
    put_described,
    put_lowbit,
    quantized_weights,
)
from slimcast.models.lowbit_inputs import InputGrid
from slimcast.models.lowbit_weights import BinaryWeights, DorefaWeights, Int8Weights, WrpnWeights
from slimcast.models.state import load_state, save_state
from slimcast.quantize.lowbit import LowBitPlan, fit_inputs, learn_inputs, put_in_place, settle_inputs
from support_engine import LENET
from support_networks import lively, spec_of

BINARY = Scheme(weights="binary", weight_bits=1)
SCHEMES = [
    BINARY,
    Scheme(weights="dorefa", weight_bits=2, input_bits=2, inputs="trained"),
    Scheme(weights="dorefa", weight_bits=4, input_bits=4, inputs="learnt"),
    Scheme(weights="wrpn", weight_bits=4),
]
EXAMPLE = torch.zeros(1, 1, 32, 32)


def _nothing():
    pass


def _gradient(grid, weight: torch.Tensor) -> torch.Tensor:
    grid.quantized(weight).sum().backward()
    assert weight.grad is not None
    return weight.grad


def test_binary_weights_are_signs_times_the_mean_magnitude_of_their_channel():
    weight = torch.tensor([[0.5, -0.1, -0.6, 0.2], [8.0, 6.0, -1.0, 1.0]])
    grid = BinaryWeights(weight)
    grid.start(weight)
    wanted = torch.tensor([[0.35, -0.35, -0.35, 0.35], [4.0, 4.0, -4.0, 4.0]])
    assert torch.allclose(grid.quantized(weight), wanted)


def test_the_gradient_passes_straight_through_and_ends_beyond_three_mean_magnitudes():
    weight = torch.tensor([[-10.0] + [1.0] * 10], requires_grad=True)  # mean magnitude 20 / 11
    grid = BinaryWeights(weight)
    grid.start(weight)
    incoming = torch.arange(11.0)[None] + torch.tensor([[7.0] + [0.0] * 10])
    (grid.quantized(weight) * incoming).sum().backward()
    assert weight.grad.tolist() == [[0, *range(1, 11)]]


def test_without_hysteresis_signs_follow_at_once():
    grid = BinaryWeights(torch.ones(1, 4))
    grid.train().quantized(torch.tensor([[0.1, -0.1, 1.0, -1.0]]))
    assert grid.signs.tolist() == [[1, -1, 1, -1]]


def test_with_hysteresis_a_sign_changes_only_far_beyond_zero():
    before = torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    grid = BinaryWeights(before, threshold=0.5)
    grid.start(before)
    moved = torch.tensor([[-0.1, -1.0, 0.1, 1.0]])  # mean magnitude 0.55
    grid.eval().quantized(moved)
    assert grid.signs.tolist() == [[1, 1, -1, -1]]
    grid.train().quantized(moved)
    assert grid.signs.tolist() == [[1, -1, -1, 1]]


@pytest.mark.parametrize(("bits", "count"), [(2, 4), (4, 16)])
def test_dorefa_has_all_its_values_none_of_them_zero_and_the_gradient_of_tanh(bits, count):
    weight = torch.linspace(-0.5, 0.5, 201)[None].requires_grad_()
    grid = DorefaWeights(weight, bits=bits)
    values, plain = grid.quantized(weight).detach(), weight.detach()
    assert len(values.unique()) == count
    assert float(values.abs().min()) > 0
    assert float((values - plain.tanh()).abs().max()) <= float(plain.tanh().max()) / (count - 1) + 1e-6
    assert torch.allclose(_gradient(grid, weight), 1 - plain.tanh() ** 2)


def test_wrpn_clips_to_the_limit_of_each_channel():
    weight = torch.tensor([[0.1, -0.2, 0.15, 0.05]], requires_grad=True)
    grid = WrpnWeights(weight, bits=2)
    grid.limit.fill_(0.12)
    assert torch.allclose(grid.quantized(weight), torch.tensor([[0.12, -0.12, 0.12, 0.0]]))
    assert _gradient(grid, weight)[0].tolist() == pytest.approx([1, 0, 0, 1])


def test_wrpn_begins_with_limits_that_lose_little():
    weight = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[0.01], [1], [10]]
    )
    grid = WrpnWeights(weight, bits=2)
    grid.start(weight)
    lost = (grid.quantized(weight) - weight).square().mean(1) / weight.square().mean(1)
    assert float(lost.max()) < 0.25  # the best three values for a normal distribution lose 0.19
    assert torch.allclose(lost[0], lost[1], atol=0.03)


def test_eight_bits_lose_half_a_step():
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    grid = Int8Weights(weight, bits=8)
    step = weight.abs().amax((1, 2, 3), keepdim=True) / 127
    assert bool(((grid.quantized(weight) - weight).abs() <= step / 2 + 1e-7).all())


@pytest.mark.parametrize("grid_of", [BinaryWeights, DorefaWeights, WrpnWeights, Int8Weights])
def test_integers_times_a_scale_are_the_weights_that_are_computed_with(grid_of):
    weight = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.1
    grid = grid_of(weight, bits={BinaryWeights: 1, Int8Weights: 8}.get(grid_of, 4))
    grid.start(weight)
    levels, used = grid.eval().levels(weight), grid.quantized(weight)
    whole = levels.values.float()
    scale = (used * whole).sum((1, 2, 3), keepdim=True) / whole.square().sum((1, 2, 3), keepdim=True)
    assert torch.allclose(whole * scale, used, atol=1e-6)
    steps = (levels.values - levels.grid.first) / levels.grid.step
    assert steps.equal(steps.round())
    assert 0 <= int(steps.min()) <= int(steps.max()) < 2**levels.grid.bits


def test_an_input_is_left_alone_until_its_range_is_known():
    grid, values = InputGrid(4), torch.randn(3, 5)
    assert grid(values) is values
    grid.fit(values.abs())
    assert len(grid(torch.linspace(0, 10, 1000)).unique()) == 16


def test_a_range_of_few_bits_ends_before_the_extremes_and_that_of_eight_at_them():
    seen = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).relu()
    few, many = InputGrid(2), InputGrid(8)
    few.fit(seen)
    many.fit(seen)
    assert 1.0 < float(few.high) < 2.5
    assert float(many.high) == float(seen.max())
    assert few.grid()[1] == 0


def test_zero_is_a_value_of_a_range_with_two_signs():
    grid = InputGrid(2)
    grid.fit(torch.linspace(-1, 3, 100))
    assert 0 < grid.grid()[1] < 3
    assert float(grid(torch.zeros(1))) == 0


def test_what_is_cut_off_moves_the_learnt_end_and_gets_no_gradient_itself():
    grid = InputGrid(2)
    grid.fit(torch.linspace(0, 3, 50))
    grid.high.fill_(3.0)
    grid.learn()
    values = torch.tensor([-1.0, 0.4, 2.4, 3.0, 5.0], requires_grad=True)
    out = grid(values)
    assert out.tolist() == pytest.approx([0, 0, 2, 3, 3])
    (out * torch.tensor([1.0, 2, 3, 4, 5])).sum().backward()
    assert values.grad.tolist() == [0, 2, 3, 0, 0]
    assert grid.high.grad.item() == 9
    grid.settle()
    assert not list(grid.parameters())
    assert float(grid.high) == 3


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{scheme.weights}{scheme.weight_bits}")
@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_a_checkpoint_keeps_layers_with_few_bits(name, scheme, tmp_path):
    spec = spec_of(name)
    images = torch.rand(4, 1, 32, 32)
    network, _ = put_in_place(lively(spec), LowBitPlan(scheme=scheme), images[:1])
    fit_inputs(network, [images], ("trained", "learnt", "calibrated"), check=_nothing)
    learn_inputs(network)
    settle_inputs(network)
    (tmp_path / "state").write_bytes(save_state(network, spec))
    loaded, _ = load_state(tmp_path / "state")
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))
    assert {n: layer.scheme for n, layer in lowbit_layers(loaded).items()} == {
        n: layer.scheme for n, layer in lowbit_layers(network).items()
    }


def test_a_checkpoint_can_be_had_back_in_float_with_the_weights_that_the_bits_stand_for(tmp_path):
    spec, images = spec_of("resnet20"), torch.rand(4, 1, 32, 32)
    network, _ = put_in_place(lively(spec), LowBitPlan(scheme=BINARY), images[:1])
    (tmp_path / "state").write_bytes(save_state(network, spec))
    loaded, _ = load_state(tmp_path / "state", in_float=True)
    assert not lowbit_layers(loaded)
    assert set(loaded.state_dict()) == set(build(spec).state_dict())
    assert len(loaded.get_submodule("layer2.1.conv1").weight[0].abs().unique()) == 1
    with torch.no_grad():  # its inputs have no range yet, so they are not rounded
        assert torch.allclose(loaded(images), network(images), atol=1e-5)


def test_a_checkpoint_with_a_layer_that_cannot_be_is_refused():
    with pytest.raises(ModelError, match="fc9"):
        put_described(build(LENET), {"fc9": {"weights": "binary", "weight_bits": 1}})
    with pytest.raises(ModelError, match="fc1"):
        put_described(build(LENET), {"fc1": {"weights": "ternary", "weight_bits": 1}})
    with pytest.raises(ModelError, match="neither"):
        put_lowbit(build(LENET), "pool", BINARY)


def test_first_last_and_depthwise_layers_get_eight_bits():
    network, rows = put_in_place(build(spec_of("mobilenet_v2")), LowBitPlan(scheme=BINARY), EXAMPLE)
    kept = {row.layer: row.why for row in rows if row.weight_bits == 8}
    assert kept["features.0.0"] == "first layer"
    assert kept["classifier.1"] == "last layer"
    assert kept["features.1.conv.0.0"] == "depthwise"
    layers = lowbit_layers(network)
    assert all(layers[row.layer].scheme.weight_bits == row.weight_bits for row in rows)
    depthwise = [
        m for m in build(spec_of("mobilenet_v2")).modules() if isinstance(m, nn.Conv2d) and m.groups > 1
    ]
    assert len(kept) == 2 + len(depthwise)


def test_fixed_shortcuts_are_left_alone():
    whole = build(spec_of("resnet20"))
    network, rows = put_in_place(whole, LowBitPlan(scheme=BINARY, keep=["layer1.0.*"]), EXAMPLE)
    why = {row.layer: row.why for row in rows}
    assert why["layer2.0.shortcut"] == "fixed or computed weights"
    assert type(network.get_submodule("layer2.0.shortcut")) is type(whole.get_submodule("layer2.0.shortcut"))
    assert why["layer1.0.conv1"] == "kept by the recipe"
    assert not lowbit_layers(whole)


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_counts_are_those_of_the_float_network(name):
    whole = build(spec_of(name))
    network, _ = put_in_place(whole, LowBitPlan(scheme=BINARY), EXAMPLE)
    assert count_parameters(network) == count_parameters(whole)
    assert count_macs(network, EXAMPLE) == count_macs(whole, EXAMPLE)


def test_a_network_without_a_layer_in_between_is_refused():
    small = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(3600, 5))
    with pytest.raises(StepError, match="No layer is left for 1 bits"):
        put_in_place(small, LowBitPlan(scheme=BINARY), EXAMPLE)


def test_few_bits_twice_weights_that_are_no_numbers_and_unknown_layers_are_refused():
    network, _ = put_in_place(build(LENET), LowBitPlan(scheme=BINARY), EXAMPLE)
    with pytest.raises(StepError, match="few bits already"):
        put_in_place(network, LowBitPlan(scheme=BINARY), EXAMPLE)
    with pytest.raises(StepError, match="fits no layer"):
        put_in_place(build(LENET), LowBitPlan(scheme=BINARY, keep=["fc9"]), EXAMPLE)
    broken = build(LENET)
    with torch.no_grad():
        broken.fc2.weight[0, 0] = torch.nan
    with pytest.raises(StepError, match="fc2"):
        put_in_place(broken, LowBitPlan(scheme=BINARY), EXAMPLE)


def test_training_mode_changes_signs_and_evaluation_does_not():
    network, _ = put_in_place(build(LENET), LowBitPlan(scheme=BINARY), EXAMPLE)
    layer = lowbit_layers(network)["fc1"]
    before = levels_of(network)["fc1"].values
    with torch.no_grad():
        layer.weight.neg_()
    used = quantized_weights(layer.train())
    assert torch.equal(used.sign().to(torch.int8), before)
    assert layer.weight_grid.training
    layer(torch.zeros(1, layer.in_features))
    assert not torch.equal(levels_of(network)["fc1"].values, before)


def test_a_copy_is_independent():
    network, _ = put_in_place(build(LENET), LowBitPlan(scheme=BINARY), EXAMPLE)
    copied = copy.deepcopy(network)
    lowbit_layers(copied)["fc1"].weight_grid.signs.neg_()
    assert not torch.equal(levels_of(copied)["fc1"].values, levels_of(network)["fc1"].values)
