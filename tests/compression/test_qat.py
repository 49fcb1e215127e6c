"""A network in front of the roundings of its int8 graph: what is rounded, and what the artifact makes."""

import itertools
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from slimcast.errors import StepError
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.files import integer_share
from slimcast.measure.kernels import executed_graph
from slimcast.models.build import NetworkSpec, build
from slimcast.quantize.grids import overrides, rounding_of
from slimcast.quantize.qat.annotation import weight_scale
from slimcast.quantize.qat.network import Freezing, round_network
from slimcast.quantize.qat.program import export_program, kind_of
from slimcast.quantize.qdq import insert
from slimcast.quantize.runs import logits_of
from slimcast.quantize.static import MINMAX
from slimcast.quantize.workspace import Workspace
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import InputSpec
from support_branches import Branches
from support_engine import RecordingReporter

MEAN, STD = 0.5, 0.25


class Rounded:
    """A network, its graphs before training, and the network in front of its roundings."""

    def __init__(self, model, side, channels=3, classes=10, activations="uint8"):
        self.model, self.side, self.channels, self.classes = model.eval(), side, channels, classes
        self.activations, self.reporter = activations, RecordingReporter()
        self.images = np.random.default_rng(0).integers(0, 256, (24, side, side, channels), dtype=np.uint8)
        whole = self.graph()
        self.rounding = rounding_of(self.quantized(whole), whole)
        self.network = round_network(
            model, whole, self.rounding, self.images, activations=activations, reporter=self.reporter
        ).eval()

    def graph(self):
        size = InputSpec(height=self.side, width=self.side, channels=self.channels)
        mean, std = (MEAN,) * self.channels, (STD,) * self.channels
        return export_onnx(self.model, size=size, mean=mean, std=std, classes=self.classes)

    def quantized(self, graph, chosen=None):
        with Workspace() as folder:
            return insert(graph, self.images, MINMAX, self.activations, (), folder, chosen)

    def artifact(self):
        """Return the int8 graph of the network as it is now."""
        self.network.copy_to(self.model)
        chosen = overrides(self.rounding, self.network.grids(), self.activations)
        return self.quantized(self.graph(), chosen)

    @property
    def pixels(self):
        return (torch.from_numpy(self.images).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD

    def train(self, steps=1, after_step=None):
        self.network.train()
        optimizer = torch.optim.SGD([p for p in self.network.parameters() if p.requires_grad], lr=1e-2)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(self.network(self.pixels), torch.arange(24) % 3).backward()
            optimizer.step()
            if after_step is not None:
                after_step(self.network)
        self.network.eval()

    def answers(self):
        with torch.no_grad():
            return self.network(self.pixels).numpy()

    def rounded_kinds(self):
        """Return how many results of which operations are rounded, and how many weights."""
        modules = dict(self.network.program.named_modules())
        kinds: Counter[str] = Counter()
        for node in self.network.program.graph.nodes:
            if node.op == "call_module":
                weight = type(modules[node.target]).__name__ == "RoundedWeight"
                kinds["weight" if weight else kind_of(node.args[0])] += 1
        return kinds


def _built(name, side=32, channels=3):
    torch.manual_seed(0)
    model = build(NetworkSpec(model=name, classes=10, channels=channels, image_size=side)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after a training
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return Rounded(model, side, channels)


def _stored(graph):
    """Return the integers of each layer's weights in a graph, by the layer's name."""
    stored = {item.name: numpy_helper.to_array(item) for item in graph.graph.initializer}
    made = {node.output[0]: node.input[0] for node in graph.graph.node if node.op_type == "DequantizeLinear"}
    layers = [node for node in graph.graph.node if node.op_type in {"Conv", "Gemm"}]
    return {node.name: stored[made[node.input[1]]] for node in layers if node.input[1] in made}


@pytest.mark.parametrize(
    ("name", "channels", "wanted"),
    [
        # What the second convolution reads; the second pooling stays on the grid of its input.
        ("lenet5", 1, {"weight": 4, "max_pool2d": 1, "relu": 3, "linear": 1}),
        # Sums with the activation behind them, and what is added: second convolutions and two shortcuts.
        (
            "resnet20",
            3,
            {"weight": 21, "relu": 19, "batch_norm": 9, "conv2d": 2, "adaptive_avg_pool2d": 1, "linear": 1},
        ),
        # Projections before and after they are added.
        pytest.param(
            "mobilenet_v2",
            3,
            {
                "weight": 52,
                "hardtanh": 35,
                "batch_norm": 17,
                "add": 10,
                "adaptive_avg_pool2d": 1,
                "linear": 1,
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_is_rounded(name, channels, wanted):
    rounded = _built(name, channels=channels)
    assert rounded.rounded_kinds() == wanted
    assert not [text for level, text in rounded.reporter.logs if level == "warning"]


@pytest.mark.parametrize("activations", ["int8", "uint8"])
def test_the_artifact_computes_what_was_trained(activations):
    torch.manual_seed(0)
    model = build(NetworkSpec(model="lenet5", classes=10, channels=1, image_size=32))
    rounded = Rounded(model, 32, channels=1, activations=activations)
    rounded.train(steps=3)
    artifact = rounded.artifact()
    step = rounded.network.grids()["logits"].scale
    # Int32 biases and another order of sums move a value across the border of two steps now and then.
    assert np.abs(logits_of(artifact, rounded.images) - rounded.answers()).max() < 2.5 * step
    made = rounding_of(artifact, rounded.graph()).grids
    assert made == rounded.network.grids()


def test_residual_sums_and_all_but_the_first_convolution_run_in_integers():
    rounded = _built("resnet20")
    rounded.train(steps=2)
    artifact = rounded.artifact()
    executed = executed_graph(artifact)
    assert integer_share(executed) == (21, 22)
    assert Counter(node.op_type for node in executed.graph.node)["QLinearAdd"] == 9
    logits, answers = logits_of(artifact, rounded.images), rounded.answers()
    assert np.sqrt(np.mean((logits - answers) ** 2)) < 0.02 * np.ptp(answers)
    stored, different, total = _stored(artifact), 0, 0
    assert len(stored) == 21
    for name, integers in stored.items():
        # Folded norms scale rows by positive numbers here, which moves no weight to another step.
        weight = rounded.model.get_parameter(f"{name}.weight").detach()
        rounds = torch.round(weight / weight_scale(weight).view(-1, *[1] * (weight.ndim - 1)))
        different, total = different + int((rounds.numpy() != integers).sum()), total + integers.size
    assert different <= total * 1e-4, "but for ties, that another float32 division breaks otherwise"


@pytest.mark.parametrize(
    ("both", "wanted"),
    [
        (False, {"weight": 4, "relu": 3, "cat": 1, "avg_pool2d": 1, "linear": 1}),
        (True, {"weight": 4, "relu": 2, "cat": 1, "avg_pool2d": 1, "linear": 1}),
    ],
)
def test_concatenations_and_windows_are_rounded_as_in_the_graph(both, wanted):
    torch.manual_seed(0)
    rounded = Rounded(Branches(both), 8, classes=4)
    assert rounded.rounded_kinds() == wanted
    rounded.train(steps=2)
    artifact = rounded.artifact()
    grids = rounding_of(artifact, rounded.graph()).grids
    assert rounded.rounding.joined
    for tensor, result in rounded.rounding.joined.items():
        assert grids[tensor] == grids[result]
    step = rounded.network.grids()["logits"].scale
    assert np.abs(logits_of(artifact, rounded.images) - rounded.answers()).max() < 2.5 * step


class Normed(nn.Module):
    """A norm with an epsilon of its own, one of whose channels is switched off; dropout; x * sigmoid(x)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.conv = nn.Conv2d(8, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8, eps=0.1)
        self.norm.weight.data[2] = 0
        self.act = nn.SiLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.act(self.norm(self.conv(torch.relu(self.stem(x)))))
        return self.head(self.drop(x.mean((2, 3))))


def _normed():
    torch.manual_seed(0)
    return Rounded(Normed(), 10, classes=3)


def test_without_its_roundings_the_network_is_the_float_one():
    rounded = _normed()
    for module in rounded.network.modules():
        if hasattr(module, "enable_fake_quant"):
            module.enable_fake_quant(False)
    program = rounded.network.program
    for node in list(program.graph.nodes):  # weights are rounded whatever is switched
        if node.op == "call_module":
            node.replace_all_uses_with(node.args[0])
    program.recompile()
    with torch.no_grad():
        wanted = rounded.model(rounded.pixels).numpy()
    np.testing.assert_allclose(rounded.answers(), wanted, rtol=1e-4, atol=1e-5)
    assert rounded.rounded_kinds()["sigmoid"] == 1


def test_a_channel_that_is_switched_off_trains_on():
    rounded = _normed()
    rounded.train(steps=3)
    assert np.isfinite(rounded.answers()).all()
    assert rounded.network.program.state_dict()["norm.weight"][2] != 0


def test_dropout_and_norms_follow_the_mode():
    rounded = _normed()
    np.testing.assert_array_equal(rounded.answers(), rounded.answers())
    before = rounded.model.norm.running_mean.clone()
    rounded.network.train()
    first, second = (rounded.network(rounded.pixels) for _ in range(2))
    assert not torch.equal(first, second), "dropout"
    assert not torch.equal(rounded.model.norm.running_mean, before)
    for count in (1, 7):
        assert rounded.network.eval()(rounded.pixels[:count]).shape == (count, 3)


def test_looking_at_other_images_teaches_nothing():
    rounded = _normed()
    before = rounded.network.grids()
    with torch.no_grad():
        rounded.network(100 * rounded.pixels)
    assert rounded.network.grids() == before
    rounded.network.train()
    rounded.network(100 * rounded.pixels)
    assert rounded.network.grids() != before


def test_statistics_and_ranges_freeze_on_time():
    rounded, seen = _normed(), []
    freeze = Freezing(rounded.network, 10, statistics=0.2, ranges=0.55)

    def watch(network):
        freeze(network)
        norm = rounded.network.program.state_dict()["norm.running_mean"]
        seen.append((float(norm.sum()), rounded.network.grids()["logits"]))

    rounded.train(steps=10, after_step=watch)
    means, grids = zip(*seen, strict=True)
    assert [a != b for a, b in itertools.pairwise(means)] == [True] + [False] * 8
    assert [a != b for a, b in itertools.pairwise(grids)] == [True] * 5 + [False] * 4


def test_a_network_that_decides_by_values_is_refused():
    class Undecided(nn.Module):
        def forward(self, x):
            return x.flatten(1) if x.sum() > 0 else -x.flatten(1)

    with pytest.raises(StepError, match=r"Cannot train Undecided with rounded numbers.*Use method static"):
        export_program(Undecided(), (3, 8, 8), "Undecided")


def test_a_graph_of_another_network_is_refused():
    rounded = _normed()
    torch.manual_seed(1)
    with pytest.raises(StepError, match="nothing of what ONNX Runtime rounds was found"):
        round_network(
            Normed().eval(),
            onnx.ModelProto.FromString(rounded.graph().SerializeToString()),
            rounded.rounding,
            rounded.images,
            activations="uint8",
            reporter=SilentReporter(),
        )


@pytest.mark.slow
def test_squeeze_and_excite_and_hard_swish_are_rounded_as_in_the_graph():
    # Larger networks of the catalog (AlexNet, VGG16, ResNet-18) pass it, too, in more than ten seconds each.
    rounded = _built("mobilenet_v3_small")
    assert not [text for level, text in rounded.reporter.logs if level == "warning"]
    rounded.train()
    artifact = rounded.artifact()
    integer, layers = integer_share(executed_graph(artifact))
    assert integer == layers - 1
    logits, answers = logits_of(artifact, rounded.images), rounded.answers()
    assert np.sqrt(np.mean((logits - answers) ** 2)) < 0.03 * np.ptp(answers)
