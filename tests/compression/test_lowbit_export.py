"""Packed weights: bit-exact in the file, unpacked at load, and answers as in torch."""

import numpy as np
import onnx
import pytest
import torch

from slimcast.data.choice import images_for_choice
from slimcast.errors import StepError
from slimcast.export.artifact import pack as pack_artifact
from slimcast.export.golden import _small_ones, choose_golden
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.files import facts_of, weights_of
from slimcast.measure.kernels import executed_graph
from slimcast.models.build import NetworkSpec
from slimcast.models.lowbit import Scheme, levels_of, with_float_inputs
from slimcast.models.lowbit_weights import Grid, Levels
from slimcast.quantize import static
from slimcast.quantize.lowbit import LowBitPlan, fit_inputs, put_in_place
from slimcast.quantize.packing import pack, pack_weights
from slimcast.quantize.runs import logits_of
from slimcast.reporting import SilentReporter
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from support_engine import LENET, digits, trained_lenet
from support_networks import answers_of, lively, photographs, spec_of

QUIET = SilentReporter()
BINARY = Scheme(weights="binary", weight_bits=1)
FOUR = Scheme(weights="wrpn", weight_bits=4)
TWO = Scheme(weights="dorefa", weight_bits=2, input_bits=2, inputs="trained")
SLOW = ("mobilenet_v2", "vgg16_bn")
NETWORKS = ["lenet5", "resnet20", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
UNPACKING = {"Gather", "Split", "Range", "Mod"}


def _of(spec: NetworkSpec, scheme: Scheme):
    """Return a network with few bits and random weights, and images."""
    images = photographs(16, spec)
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    network, _ = put_in_place(lively(spec), LowBitPlan(scheme=scheme), pixels[:1])
    fit_inputs(network, [pixels], ("trained", "calibrated"), check=lambda: None)
    return network, images


def _exported(model, spec: NetworkSpec) -> onnx.ModelProto:
    size = InputSpec(height=spec.image_size, width=spec.image_size, channels=spec.channels)
    mean, std = (0.5,) * spec.channels, (0.25,) * spec.channels
    return export_onnx(model, size=size, mean=mean, std=std, classes=spec.classes)


def _info(spec: NetworkSpec, kind: NumericKind = NumericKind.BINARY) -> ArtifactInfo:
    return ArtifactInfo(
        name="n",
        labels=[str(i) for i in range(spec.classes)],
        input=InputSpec(height=spec.image_size, width=spec.image_size, channels=spec.channels),
        numeric_kind=kind,
        opset=17,
        recipe_hash="",
    )


def _off(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the mean difference of logits in parts of their spread."""
    return float(np.abs(found - wanted).mean() / np.ptp(wanted))


@pytest.mark.parametrize(("bits", "count"), [(1, 19), (1, 16), (2, 7), (4, 5), (8, 3)])
def test_packed_integers_come_back_bit_for_bit(bits, count):
    steps = np.random.default_rng(0).integers(0, 2**bits, (count, 3))
    packed = pack(steps, bits)
    assert packed.dtype == np.uint8
    assert packed.size == -(-steps.size * bits // 8)
    back = (packed[:, None] >> np.arange(0, 8, bits)) & (2**bits - 1)
    np.testing.assert_array_equal(back.reshape(-1)[: steps.size].reshape(steps.shape), steps)


@pytest.mark.parametrize("scheme", [BINARY, FOUR, TWO], ids=["binary", "wrpn4", "dorefa2"])
@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_packed_weights_are_unpacked_at_load_to_what_they_were(name, scheme):
    spec = spec_of(name)
    network, images = _of(spec, scheme)
    graph = _exported(with_float_inputs(network), spec)
    packed = pack_weights(graph, graph, levels_of(network))
    onnx.checker.check_model(packed, full_check=True)
    for found, wanted in zip(weights_of(packed), weights_of(graph), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6 * float(np.abs(wanted).max()))
    assert {node.op_type for node in packed.graph.node} >= UNPACKING
    executed = {node.op_type for node in executed_graph(packed, NumericKind.BINARY).graph.node}
    assert not executed & UNPACKING
    wanted = logits_of(graph, images)
    np.testing.assert_allclose(logits_of(packed, images), wanted, atol=1e-4 * float(np.ptp(wanted)))


@pytest.mark.parametrize("scheme", [BINARY, FOUR], ids=["binary", "wrpn4"])
@pytest.mark.parametrize("name", NETWORKS)
def test_with_eight_bit_inputs_packed_weights_run_in_integer_kernels(name, scheme):
    spec = spec_of(name)
    network, images = _of(spec, scheme)
    graph = _exported(with_float_inputs(network), spec)
    plan = static.StaticPlan(samples=16, ranges=(static.MINMAX,))
    whole = static.quantize(graph, images, plan, reporter=QUIET)
    packed = pack_weights(whole, graph, levels_of(network))
    onnx.checker.check_model(packed, full_check=True)
    kinds = [node.op_type for node in executed_graph(packed, NumericKind.BINARY).graph.node]
    assert kinds.count("Conv") + kinds.count("FusedConv") == 1  # the first, which reads the image
    assert not {"Gemm", "FusedGemm", *UNPACKING} & set(kinds)
    # As far from the float graph as before it was packed: integers are exact, only biases round otherwise.
    wanted = logits_of(graph, images)
    assert _off(logits_of(packed, images), wanted) < 1.5 * _off(logits_of(whole, images), wanted) + 0.01
    stored = {values.shape: np.abs(values) for values in weights_of(packed)}
    for one in levels_of(network).values():
        if one.grid.bits < 8:
            assert stored[tuple(one.values.shape)].max() <= one.values.abs().max()
    few = len(pack_artifact(packed, _info(spec)))
    assert few < (0.3 if scheme is BINARY else 0.75) * len(pack_artifact(whole, _info(spec)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_and_its_file_round_inputs_alike(name):
    spec = spec_of(name)
    network, images = _of(spec, Scheme(weights="wrpn", weight_bits=4, input_bits=8))
    wanted = answers_of(network, images)
    graph = _exported(network, spec)
    packed = pack_weights(graph, graph, levels_of(network))
    assert _off(logits_of(packed, images), wanted) < 0.02


@pytest.mark.slow
def test_a_network_trained_with_one_bit_answers_on_digits_as_in_torch_and_takes_16_kilobytes():
    data = digits()
    images, labels = images_for_choice(data)
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - data.mean[0]) / data.std[0]
    network, _ = put_in_place(trained_lenet(), LowBitPlan(scheme=BINARY), pixels[:1])
    fit(network, data, TrainingPlan(epochs=2, batch_size=32, learning_rate=1e-3), reporter=QUIET)
    fit_inputs(network, [pixels], ("calibrated",), check=lambda: None)
    with torch.no_grad():
        wanted = network(pixels).numpy()
    assert (wanted.argmax(1) == labels).mean() > 0.9
    size = InputSpec(height=32, width=32, channels=1)
    graph = export_onnx(with_float_inputs(network), size=size, mean=data.mean, std=data.std, classes=10)
    whole = static.quantize(graph, images, static.StaticPlan(ranges=(static.MINMAX,)), reporter=QUIET)
    content = pack_artifact(pack_weights(whole, graph, levels_of(network)), _info(LENET))
    found = logits_of(onnx.load_from_string(content), images)
    assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.98
    assert _off(found, wanted) < 0.02
    assert facts_of(content).size_bytes == len(content) < 16_000
    golden = choose_golden(content, images, labels, found, NumericKind.BINARY)
    assert 2 <= len(golden.samples) <= 4
    assert golden.tolerance >= 0.04 * float(np.ptp(found[:64]))


def test_samples_that_would_be_a_large_part_of_a_tiny_file_are_the_smallest_and_fewer():
    noisy = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    noisy[[3, 9]] = 7
    labels, candidates = np.arange(20) % 4, np.arange(20)
    assert _small_ones(noisy, labels, candidates, most=100_000).tolist() == [0, 1, 2, 3]
    assert _small_ones(noisy, labels, candidates, most=1_000).tolist() == [3, 9]


def test_weights_that_are_on_no_grid_are_refused_by_their_layer():
    network, _ = _of(LENET, BINARY)
    graph = _exported(with_float_inputs(network), LENET)
    levels = levels_of(network)
    ones = torch.ones_like(levels["fc1"].values)
    wrong = levels | {"fc1": Levels(grid=Grid(bits=1, step=2, first=-1), values=ones)}
    with pytest.raises(StepError, match="fc1"):
        pack_weights(graph, graph, wrong)


def test_a_channel_of_zeros_keeps_its_bias():
    network, images = _of(LENET, BINARY)
    with torch.no_grad():
        network.fc1.weight.zero_()
        network.fc1.bias.fill_(0.5)
    graph = _exported(with_float_inputs(network), LENET)
    whole = static.quantize(
        graph, images, static.StaticPlan(samples=16, ranges=(static.MINMAX,)), reporter=QUIET
    )
    packed = pack_weights(whole, graph, levels_of(network))
    wanted = logits_of(graph, images)
    np.testing.assert_allclose(logits_of(packed, images), wanted, atol=0.02 * float(np.abs(wanted).max()))
