"""Weights of few bits: the file answers as quanto's network does, is as small as it should be, lives on."""

import copy

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from slimcast.errors import ModelError, StepError
from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.cost import count_macs, count_parameters
from slimcast.measure.files import facts_of, weights_of
from slimcast.models.build import NetworkSpec
from slimcast.models.layers import weighted_layers
from slimcast.models.quanto import FORMATS, freeze, plain, quanto_layers
from slimcast.models.quanto_library import QTensor
from slimcast.models.quanto_ranges import FittedRange
from slimcast.models.state import load_state, save_state
from slimcast.quantize.quanto import WeightPlan, rounding_errors, with_low_bits
from slimcast.reporting import SilentReporter
from slimcast.train.fit import accuracy, fit
from slimcast.train.plan import TrainingPlan
from slimcast.train.precision import Precision
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.runtime import open_runtime
from support_engine import LENET, RecordingReporter, digits, trained_lenet
from support_networks import DEEP, LARGE, SAME_OPERATIONS, answers_of, lively, networks, photographs, spec_of

QUIET = SilentReporter()
RESNET = NetworkSpec(model="resnet20", classes=10, channels=3, image_size=32)
OPSETS = {"int8": 17, "int4": 21, "int2": 25, "float8": 19, "float8_e5m2": 19}


def _rounded(model, weights, **settings):
    out = with_low_bits(model, WeightPlan(weights=weights, **settings), reporter=QUIET)
    freeze(out)
    return out.eval()


def _file(model, spec, kind=NumericKind.WEIGHT_ONLY):
    size = InputSpec(height=spec.image_size, width=spec.image_size, channels=spec.channels)
    graph = export_onnx(
        model, size=size, mean=(0.5,) * spec.channels, std=(0.25,) * spec.channels, classes=spec.classes
    )
    info = ArtifactInfo(
        name="test",
        labels=[str(i) for i in range(spec.classes)],
        input=size,
        numeric_kind=kind,
        opset=graph.opset_import[0].version,
        recipe_hash="0" * 64,
    )
    return pack(graph, info)


def _answers(content, images):
    runtime = open_runtime(content)
    try:
        return runtime.run(images)
    finally:
        runtime.close()


def _assert_alike(found, wanted):
    np.testing.assert_allclose(found, wanted, atol=1e-4 * max(1.0, float(np.ptp(wanted))))


@pytest.mark.parametrize("weights", FORMATS)
@pytest.mark.parametrize("name", ["lenet5", "resnet20", "mobilenet_v2"])
def test_the_file_answers_as_the_rounded_network_does(name, weights):
    spec = spec_of(name)
    model = _rounded(lively(spec), weights, ends="same")
    images = photographs(4, spec)
    content = _file(model, spec)
    _assert_alike(_answers(content, images), answers_of(model, images))
    assert onnx.load_from_string(content).opset_import[0].version == OPSETS[weights]


@pytest.mark.parametrize(
    "name", networks(*LARGE, *DEEP, "resnet18", "vgg16", "vgg16_bn", without=SAME_OPERATIONS)
)
def test_every_network_answers_alike_with_two_bits(name):
    spec = spec_of(name)
    model = _rounded(lively(spec), "int2")
    images = photographs(2, spec)
    _assert_alike(_answers(_file(model, spec), images), answers_of(model, images))


def test_sizes_are_those_of_the_bits():
    model = lively(RESNET)
    size = {w: len(_file(_rounded(model, w, ends="same"), RESNET)) for w in ("int8", "int4", "int2")}
    whole = len(_file(model, RESNET))
    assert size["int8"] < 0.27 * whole
    # Layers with 144 inputs have one scale for each output, those with 288 and 576 one for each 96 and 64.
    assert size["int4"] < 0.58 * size["int8"]
    assert size["int2"] < 0.38 * size["int8"]


def test_counts_are_those_of_the_float_network():
    model, image = lively(RESNET), torch.zeros(1, 3, 32, 32)
    small = _rounded(model, "int4")
    assert count_parameters(small) == count_parameters(model)
    assert count_macs(small, image) == count_macs(model, image)


def test_negative_and_zero_factors_of_norms_go_into_the_scales():
    model = lively(RESNET)
    with torch.no_grad():
        model.bn1.weight[::2] *= -1
        model.layer1[0].bn2.weight[:3] = 0
    images = photographs(4, RESNET)
    for weights in ("int4", "int2", "int8", "float8"):
        small = _rounded(model, weights, ends="same")
        _assert_alike(_answers(_file(small, RESNET), images), answers_of(small, images))


def test_pruned_zeros_stay_zeros_and_are_counted():
    model = lively(RESNET)
    with torch.no_grad():
        for layer in weighted_layers(model).values():
            layer.weight[torch.rand_like(layer.weight) < 0.7] = 0
            layer.weight[0] = 0  # a whole output: it has no range
    zeros = sum(int((layer.weight == 0).sum()) for layer in weighted_layers(model).values())
    share = zeros / sum(layer.weight.numel() for layer in weighted_layers(model).values())
    for weights in FORMATS:
        small = _rounded(model, weights, ends="same")
        content = _file(small, RESNET)
        assert facts_of(content).sparsity >= share - 1e-9
        images = photographs(2, RESNET)
        _assert_alike(_answers(content, images), answers_of(small, images))


@pytest.mark.parametrize("weights", FORMATS)
def test_stored_weights_are_those_of_the_network(weights):
    model = _rounded(trained_lenet(), weights, ends="same")
    stored = weights_of(onnx.load_from_string(_file(model, LENET)))
    for found, layer in zip(stored, weighted_layers(model).values(), strict=True):
        wanted = plain(layer.weight.detach()).numpy()
        found = found.astype(np.float32)
        if weights in ("int8", "float8", "float8_e5m2"):  # as they are stored, without their scales
            found = found * layer.weight._scale.numpy().reshape(-1, *[1] * (found.ndim - 1))
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("weights", FORMATS)
def test_it_survives_saving_loading_and_copying_to_the_bit(weights, tmp_path):
    spec = spec_of("resnet20")
    model = _rounded(lively(spec), weights)
    path = tmp_path / "state"
    path.write_bytes(save_state(model, spec))
    loaded, found = load_state(path)
    images = photographs(2, spec)
    wanted = answers_of(model, images)
    assert found == spec
    np.testing.assert_array_equal(answers_of(loaded, images), wanted)
    np.testing.assert_array_equal(answers_of(copy.deepcopy(loaded), images), wanted)
    assert _file(loaded, spec) == _file(model, spec)
    assert path.stat().st_size < len(save_state(lively(spec), spec)) / 3


def test_a_saved_state_goes_on_as_a_float_network_and_finds_its_bits_again(tmp_path):
    model = _rounded(trained_lenet(), "int4", ends="same")
    path = tmp_path / "state"
    path.write_bytes(save_state(model, LENET))
    whole, _ = load_state(path, in_float=True)
    assert not quanto_layers(whole)
    images = photographs(2, LENET)
    _assert_alike(answers_of(whole, images), answers_of(model, images))
    again = _rounded(whole, "int4", ends="same")
    changed = np.abs(answers_of(again, images) - answers_of(model, images)).max()
    assert changed < 0.02 * np.ptp(answers_of(model, images))
    before = whole.conv1.weight.detach().clone()
    fit(whole, digits(), TrainingPlan(epochs=0.2, batch_size=32), reporter=QUIET)
    assert not torch.equal(before, whole.conv1.weight)


def test_a_damaged_description_of_bits_is_refused(tmp_path):
    model = _rounded(trained_lenet(), "int4")
    path = tmp_path / "state"
    path.write_bytes(
        save_state(model, LENET)
        .replace(b'"conv1\\\\": {', b'"conv9\\\\": {')
        .replace(b'\\"conv1\\": {', b'\\"conv9\\": {')
    )
    with pytest.raises(ModelError, match="conv9"):
        load_state(path)


@pytest.mark.slow
@pytest.mark.parametrize("bfloat16", [False, True])
def test_training_with_two_bits_wins_back_what_rounding_lost(bfloat16):
    model = trained_lenet()
    plain_cut = _rounded(model, "int2", ends="same")
    small = with_low_bits(model, WeightPlan(weights="int2", ends="same"), reporter=QUIET)
    precision = Precision(bfloat16=bfloat16, channels_last=True)
    plan = TrainingPlan(epochs=3, batch_size=32, learning_rate=1e-3, precision=precision)
    fit(small, digits(), plan, reporter=QUIET)
    freeze(small)
    before, after = (accuracy(m, digits(), reporter=QUIET) for m in (plain_cut, small))
    assert after > max(before, 0.93)
    assert all(isinstance(layer.weight, QTensor) for layer in quanto_layers(small).values())


def test_a_layer_of_four_levels_has_four_values_in_each_group():
    small = _rounded(lively(RESNET), "int2", ends="same")
    weight = plain(small.layer3[0].conv2.weight.detach()).reshape(-1, 96)
    assert max(len(torch.unique(row)) for row in weight[:200]) == 4


@pytest.mark.parametrize("zero", ["free", "exact", "middle"])
@pytest.mark.parametrize("bits", [2, 4])
def test_a_fitted_range_is_no_worse_than_the_whole_one_and_keeps_what_is_on_a_grid(bits, zero):
    from slimcast.models.quanto_library import qtypes
    from slimcast.models.quanto_ranges import _SHARES, _rounded

    rows = torch.randn(50, 96, generator=torch.Generator().manual_seed(1))
    find = FittedRange(zero)

    def error(values):
        return (_rounded(values, *find(values, qtypes[f"qint{bits}"], 0), bits) - values).square().mean()

    fitted = error(rows)
    shares, _SHARES[bits] = _SHARES[bits], (1.0,)
    try:
        assert fitted <= error(rows)
    finally:
        _SHARES[bits] = shares
    scale, shift = find(rows, qtypes[f"qint{bits}"], 0)
    on_grid = _rounded(rows, scale, shift, bits)
    assert error(on_grid) < 0.02 * fitted


def test_first_and_last_layer_get_eight_bits_where_the_others_have_fewer():
    kinds = {
        ends: [
            layer.format.weights
            for layer in quanto_layers(_rounded(lively(RESNET), "int2", ends=ends)).values()
        ]
        for ends in ("auto", "int8", "same", "float")
    }
    assert kinds["auto"] == kinds["int8"] == ["qint8", *["qint2"] * (len(kinds["same"]) - 2), "qint8"]
    assert set(kinds["same"]) == {"qint2"}
    assert kinds["float"] == kinds["same"][2:]
    eight = quanto_layers(_rounded(lively(RESNET), "float8"))
    assert {layer.format.weights for layer in eight.values()} == {"qfloat8_e4m3fn"}


def test_layers_to_keep_stay_in_float_and_are_named():
    reporter = RecordingReporter()
    small = with_low_bits(lively(RESNET), WeightPlan(weights="int4", keep=("layer2.*",)), reporter=reporter)
    stay = [name for name in weighted_layers(small) if name not in quanto_layers(small)]
    assert stay == [name for name in weighted_layers(small) if name.startswith("layer2.")]
    assert f"{len(stay)} of 22 layers stay in float: layer2.0.conv1" in reporter.logs[0][1]


def test_rounding_says_which_layer_it_changed_most():
    found = rounding_errors(with_low_bits(trained_lenet(), WeightPlan(weights="int2"), reporter=QUIET))
    errors = {one.name: one.error for one in found}
    assert list(errors) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert errors["conv1"] < 0.01 < errors["conv2"] < 0.6  # the first has 8 bits


def test_a_weight_that_is_no_number_is_said_by_layer():
    model = copy.deepcopy(trained_lenet())
    with torch.no_grad():
        model.conv2.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(StepError, match=r"conv2: 1 of 2400 weights are no numbers .* lower learning rate"):
        with_low_bits(model, WeightPlan(weights="int4"), reporter=QUIET)


def test_nothing_to_quantize_is_said():
    with pytest.raises(StepError, match=r"all 5 layers stay in float.*Name fewer layers in keep"):
        with_low_bits(trained_lenet(), WeightPlan(weights="int4", keep=("*",)), reporter=QUIET)


def test_layers_with_code_of_their_own_stay_in_float():
    class Standardized(nn.Conv2d):
        def forward(self, x):
            return nn.functional.conv2d(x, self.weight - self.weight.mean(), self.bias)

    model = nn.Sequential(Standardized(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4 * 28 * 28, 10))
    small = with_low_bits(model, WeightPlan(weights="int4"), reporter=QUIET)
    assert list(quanto_layers(small)) == ["1", "3"]


def test_nothing_is_compiled_to_unpack_bits(monkeypatch):
    def load(**_arguments):
        raise RuntimeError("a compiler was asked for")

    monkeypatch.setattr("optimum.quanto.library.extensions.extension.load", load)
    packed = torch.tensor([0b11100100], dtype=torch.uint8)
    assert torch.ops.quanto.unpack(packed, 2).tolist() == [0, 1, 2, 3]
    assert torch.ops.quanto.unpack(packed, 4).tolist() == [4, 14]
