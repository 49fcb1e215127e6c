"""Activations of quanto: which are rounded, in whose numbers, and that the file computes in integers."""

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from slimcast.errors import StepError
from slimcast.export.artifact import pack
from slimcast.export.integer_kernels import use_integer_kernels
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.files import integer_share
from slimcast.measure.kernels import executed_graph
from slimcast.models.layers import weighted_layers
from slimcast.models.quanto import QuantoBatchNorm2d, freeze, quanto_layers
from slimcast.models.state import load_state, save_state
from slimcast.quantize.quanto import WeightPlan, with_low_bits
from slimcast.quantize.quanto_activations import calibrate
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.runtime import open_runtime
from support_networks import DEEP, LARGE, SAME_OPERATIONS, answers_of, lively, networks, photographs, spec_of

QUIET = SilentReporter()
TYPES = {"int8": onnx.TensorProto.INT8, "int4": onnx.TensorProto.INT4, "int2": onnx.TensorProto.INT2}


def _normalised(images):
    return (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25


def _calibrated(model, images, weights="int8", activations="int8", **settings):
    plan = WeightPlan(weights=weights, activations=activations, **settings)
    out = with_low_bits(model, plan, reporter=QUIET)
    given = calibrate(out, _normalised(images).split(8), activations, reporter=QUIET)
    freeze(out)
    return out, given


def _graph(model, spec):
    size = InputSpec(height=spec.image_size, width=spec.image_size, channels=spec.channels)
    mean, std = (0.5,) * spec.channels, (0.25,) * spec.channels
    return export_onnx(model, size=size, mean=mean, std=std, classes=spec.classes)


def _answers(graph, spec, images, kind=NumericKind.INT8):
    info = ArtifactInfo(
        name="test",
        labels=[str(i) for i in range(spec.classes)],
        input=InputSpec(height=spec.image_size, width=spec.image_size, channels=spec.channels),
        numeric_kind=kind,
        opset=graph.opset_import[0].version,
        recipe_hash="",
    )
    runtime = open_runtime(pack(graph, info))
    try:
        return runtime.run(images)
    finally:
        runtime.close()


def _unoptimized(graph, images):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"image": images})[0]


def _off(found, wanted):
    """Return the root mean square of the difference beside the deviation of what is wanted."""
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std())


@pytest.mark.parametrize("weights", TYPES)
@pytest.mark.parametrize("name", ["lenet5", "resnet20", "mobilenet_v2"])
def test_every_layer_runs_in_integers_and_the_file_answers_as_the_network(name, weights):
    spec = spec_of(name)
    images = photographs(16, spec)
    model, _ = _calibrated(lively(spec), images, weights, ends="same")
    graph = use_integer_kernels(_graph(model, spec))
    integer, layers = integer_share(executed_graph(graph))
    assert integer == layers == len([n for n in graph.graph.node if n.op_type in {"Conv", "Gemm"}])
    assert {
        item.data_type for item in graph.graph.initializer if len(item.dims) == 4 and item.dims[0] > 1
    } == {TYPES[weights]}
    # Where two sums fall to two sides of a step, later layers see it; two roundings of the same kind.
    assert _off(_answers(graph, spec, images), answers_of(model, images)) < 0.06


@pytest.mark.parametrize(
    "name",
    networks(
        *LARGE,
        *DEEP,
        *("mobilenet_v3_small", "resnet18", "vgg16", "vgg16_bn"),
        without=SAME_OPERATIONS,
    ),
)
def test_every_network_can_be_calibrated(name):
    spec = spec_of(name)
    images = photographs(8, spec)
    model, _ = _calibrated(lively(spec), images)
    graph = use_integer_kernels(_graph(model, spec))
    integer, _ = integer_share(executed_graph(graph))  # which also counts the products of adaptive pooling
    assert integer >= 0.9 * len(weighted_layers(model))
    assert _off(_answers(graph, spec, images), answers_of(model, images)) < 0.08


def test_moved_roundings_change_no_number():
    spec = spec_of("mobilenet_v2")
    images = photographs(8, spec)
    model, _ = _calibrated(lively(spec), images)
    graph = _graph(model, spec)
    moved = use_integer_kernels(graph)
    kinds = [node.op_type for node in moved.graph.node]
    assert kinds.count("QuantizeLinear") < [node.op_type for node in graph.graph.node].count("QuantizeLinear")
    # But for the biases, which are rounded to steps far below those of the activations.
    assert _off(_unoptimized(moved, images), _unoptimized(graph, images)) < 0.02
    assert _off(_unoptimized(graph, images), answers_of(model, images)) < 0.02


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_float8_is_rounded_in_the_file_as_in_the_network(weights):
    spec = spec_of("resnet20")
    images = photographs(8, spec)
    model, _ = _calibrated(lively(spec), images, weights, "float8")
    graph = use_integer_kernels(_graph(model, spec))
    found = _answers(graph, spec, images, NumericKind.WEIGHT_ONLY)
    assert _off(found, answers_of(model, images)) < 0.06
    assert integer_share(executed_graph(graph, NumericKind.WEIGHT_ONLY))[0] == 0


def test_the_closer_the_grid_the_closer_the_answers():
    spec = spec_of("resnet20")
    images = photographs(16, spec)
    whole = lively(spec)
    off = [
        _off(answers_of(_calibrated(whole, images, weights)[0], images), answers_of(whole, images))
        for weights in ("int8", "int4", "int2")
    ]
    assert off[0] < 0.05 < off[1] < off[2]


class _Tiny(nn.Module):
    """A layer, its norm and a sum in place; a second output that a layer reads through a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.first(x)), inplace=True)
        y = F.relu6(self.second(x), inplace=True)
        z = self.third(y)
        z += y
        return self.head(z.mean((2, 3)))


def test_an_output_is_rounded_where_something_else_than_a_layer_reads_it():
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = with_low_bits(_Tiny().eval(), WeightPlan(weights="int8", activations="int8"), reporter=QUIET)
    given = calibrate(model, [images], "int8", reporter=QUIET)
    # `second` goes into a sum, `third` too; `norm` is read by a layer, the head by nobody.
    assert given == ["second", "third"]
    assert all(layer.format.input for layer in quanto_layers(model).values())
    # What `third` reads is rounded already: in the same numbers.
    assert torch.equal(model.third.input_scale, model.second.output_scale)
    with torch.no_grad():
        values = model.second(torch.randn(2, 4, 8, 8)) / model.second.output_scale
    assert torch.allclose(values, values.round(), atol=1e-3)
    assert values.abs().max() <= 128


def test_behind_a_norm_the_norm_is_rounded():
    spec = spec_of("resnet20")
    images = photographs(8, spec)
    model, given = _calibrated(lively(spec), images)
    assert "layer1.0.bn2" in given
    assert "layer1.0.conv2" not in given
    assert isinstance(model.layer1[0].bn2, QuantoBatchNorm2d)
    assert not isinstance(model.layer1[0].bn1, QuantoBatchNorm2d)  # a layer reads it


def test_it_survives_saving_loading_and_copying_to_the_bit(tmp_path):
    spec = spec_of("resnet20")
    images = photographs(8, spec)
    model, _ = _calibrated(lively(spec), images, "int4")
    path = tmp_path / "state"
    path.write_bytes(save_state(model, spec))
    wanted = answers_of(model, images)
    loaded, _ = load_state(path)
    np.testing.assert_array_equal(answers_of(loaded, images), wanted)
    np.testing.assert_array_equal(answers_of(copy.deepcopy(loaded), images), wanted)
    assert _graph(loaded, spec) == _graph(model, spec)
    whole, _ = load_state(path, in_float=True)
    assert not quanto_layers(whole)
    assert _off(answers_of(whole, images), wanted) < 0.05


def test_a_layer_that_is_never_reached_is_named():
    model = _Tiny().eval()
    model.spare = nn.Linear(4, 3)
    rounded = with_low_bits(model, WeightPlan(weights="int8", activations="int8"), reporter=QUIET)
    with pytest.raises(StepError, match=r"spare: never reached .* Name it in keep"):
        calibrate(rounded, [torch.randn(2, 1, 8, 8)], "int8", reporter=QUIET)


def test_an_activation_that_is_no_number_is_named():
    model = _Tiny().eval()
    with torch.no_grad():
        model.norm.running_var.fill_(float("nan"))
    rounded = with_low_bits(model, WeightPlan(weights="int8", activations="int8"), reporter=QUIET)
    with pytest.raises(StepError, match=r"second: what goes in .* no number"):
        calibrate(rounded, [torch.randn(2, 1, 8, 8)], "int8", reporter=QUIET)


def test_what_is_always_zero_stays_so():
    model = _Tiny().eval()
    with torch.no_grad():
        model.norm.weight.zero_()
        model.norm.bias.fill_(-1)
    images = torch.randn(4, 1, 8, 8)
    rounded = with_low_bits(model, WeightPlan(weights="int8", activations="int8"), reporter=QUIET)
    calibrate(rounded, [images], "int8", reporter=QUIET)
    with torch.no_grad():
        assert torch.allclose(rounded(images), model(images), atol=0.05)


def test_layers_in_float_read_rounded_outputs():
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    plan = WeightPlan(weights="int8", activations="int8", keep=("second",))
    model = with_low_bits(_Tiny().eval(), plan, reporter=QUIET)
    assert calibrate(model, [images], "int8", reporter=QUIET) == ["norm", "third"]
