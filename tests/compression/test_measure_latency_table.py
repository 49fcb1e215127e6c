import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from slimcast.errors import StoreError
from slimcast.export.layer import write_layer
from slimcast.measure.cost import count_macs
from slimcast.measure.files import integer_share
from slimcast.measure.kernels import executed_graph
from slimcast.measure.latency_table import Conditions, LatencyTable, beside
from slimcast.measure.layers import LayerShape
from slimcast.measure.trace import layers_of
from slimcast.models.build import NetworkSpec, build
from slimcast_edge.bench import LayerTime, measure_layer
from slimcast_edge.errors import RuntimeFailure

CONDITIONS = Conditions(
    machine="pi: Pi 5", runtime="onnxruntime 1.31", threads=1, numbers="float32", beside_bytes=0
)
CONV = LayerShape(
    kind="conv",
    inputs=16,
    outputs=24,
    kernel=(3, 3),
    padding=(1, 1),
    stride=(2, 2),
    size=(9, 9),
    activation="ReLU",
)
LAYERS = [
    CONV,
    LayerShape(kind="conv", inputs=16, outputs=16, groups=16, kernel=(3, 3), size=(8, 8), activation="ReLU6"),
    LayerShape(kind="conv", inputs=16, outputs=32, groups=4, kernel=(1, 3), padding=(0, 1), size=(8, 6)),
    LayerShape(kind="conv", inputs=8, outputs=8, kernel=(3, 3), dilation=(2, 2), padding=(2, 2), size=(8, 8)),
    LayerShape(kind="linear", inputs=100, outputs=24, activation="ReLU"),
]


class Clock:
    """Measures by counting: the first layer takes 1 ms, the next 2 ms."""

    def __init__(self):
        self.asked = []

    def __call__(self, layer):
        self.asked.append(layer)
        return LayerTime(ms=float(len(self.asked)), runs=20)


def test_nothing_is_measured_twice(tmp_path):
    clock = Clock()
    table = LatencyTable(CONDITIONS, measure=clock, folder=tmp_path / "latency")
    assert [table.latency_ms(LAYERS[0]), table.latency_ms(LAYERS[1]), table.latency_ms(LAYERS[0])] == [
        1,
        2,
        1,
    ]
    again = LatencyTable(CONDITIONS, measure=clock, folder=tmp_path / "latency")
    assert [again.latency_ms(LAYERS[1]), again.latency_ms(LAYERS[4])] == [2, 3]
    assert clock.asked == [LAYERS[0], LAYERS[1], LAYERS[4]]
    assert (table.measured, again.measured, len(again)) == (2, 1, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "pi: Pi 4"},
        {"runtime": "onnxruntime 1.32"},
        {"threads": 4},
        {"numbers": "int8"},
        {"beside_bytes": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_table_of_other_conditions_is_never_used(tmp_path, change):
    clock = Clock()
    LatencyTable(CONDITIONS, measure=clock, folder=tmp_path).latency_ms(CONV)
    other = LatencyTable(replace(CONDITIONS, **change), measure=clock, folder=tmp_path)
    assert other.latency_ms(CONV) == 2
    assert LatencyTable(CONDITIONS, measure=clock, folder=tmp_path).latency_ms(CONV) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document | {"format": 0},
        lambda document: (
            document | {"conditions": document["conditions"] | {"machine": "copied from elsewhere"}}
        ),
        lambda document: document | {"layers": {CONV.key: {"ms": "fast"}}},
        lambda document: [],
    ],
)
def test_a_table_that_is_not_what_it_should_be_is_measured_again(tmp_path, damage):
    clock = Clock()
    LatencyTable(CONDITIONS, measure=clock, folder=tmp_path).latency_ms(CONV)
    [file] = tmp_path.iterdir()
    file.write_text(json.dumps(damage(json.loads(file.read_text()))))
    assert LatencyTable(CONDITIONS, measure=clock, folder=tmp_path).latency_ms(CONV) == 2


def test_two_jobs_share_what_they_measure(tmp_path):
    one, two = Clock(), Clock()
    first = LatencyTable(CONDITIONS, measure=one, folder=tmp_path)
    second = LatencyTable(CONDITIONS, measure=two, folder=tmp_path)
    first.latency_ms(LAYERS[0])
    second.latency_ms(LAYERS[1])
    assert len(LatencyTable(CONDITIONS, measure=Clock(), folder=tmp_path)) == 2
    assert second.latency_ms(LAYERS[0]) == 1
    assert two.asked == [LAYERS[1]]


def test_what_was_measured_on_a_busy_machine_is_not_kept(tmp_path):
    clock = Clock()
    table = LatencyTable(CONDITIONS, measure=clock, folder=tmp_path, disturbed=lambda: len(clock.asked) == 1)
    assert [table.latency_ms(layer) for layer in (LAYERS[0], LAYERS[1], LAYERS[0])] == [1, 2, 1]
    assert len(LatencyTable(CONDITIONS, measure=clock, folder=tmp_path)) == 1
    assert LatencyTable(CONDITIONS, measure=clock, folder=tmp_path).latency_ms(LAYERS[0]) == 3


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="SLIMCAST_HOME"):
        LatencyTable(CONDITIONS, measure=Clock(), folder=tmp_path / "file").latency_ms(CONV)


def test_small_networks_stay_in_the_cache_and_large_ones_push_their_layers_out():
    assert beside(100_000) == 0
    assert beside(9_000_000) == beside(16_000_000) == 8 << 20
    assert beside(90_000_000) == beside(500_000_000) == 32 << 20


def test_keys_tell_layers_apart():
    assert CONV.key == "conv 16>24 3x3 in 9x9 stride 2x2 pad 1x1 ReLU"
    assert LAYERS[-1].key == "linear 100>24 ReLU"
    assert len({layer.key for layer in LAYERS}) == len(LAYERS)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.key)
def test_a_layer_counts_and_runs_as_torch_does(layer):
    module = _module(layer)
    image = (
        torch.zeros(1, layer.inputs, *layer.size) if layer.kind == "conv" else torch.zeros(1, layer.inputs)
    )
    assert layer.macs == count_macs(module, image)
    assert layer.weights == module.weight.numel()
    assert tuple(module(image).shape[2:]) == (layer.output_size if layer.kind == "conv" else ())


@pytest.mark.parametrize("numbers", ["float32", "int8"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.key)
def test_a_layer_alone_is_measured_by_the_kernels_that_a_network_runs(layer, numbers):
    graph = write_layer(layer, numbers)
    assert integer_share(executed_graph(onnx.load_from_string(graph))) == (1 if numbers == "int8" else 0, 1)
    found = measure_layer(graph, runs=8, bursts=2)
    assert found.ms > 0
    assert found.runs == 8


def test_no_conversion_of_numbers_is_timed_with_an_integer_layer():
    kinds = [node.op_type for node in executed_graph(write_layer(CONV, "int8")).graph.node]
    assert {"QuantizeLinear", "DequantizeLinear"}.isdisjoint(kinds)


def test_more_work_takes_longer():
    small, large = (replace(CONV, outputs=n, inputs=n, size=(32, 32), stride=(1, 1)) for n in (8, 256))
    assert measure_layer(write_layer(small, "float32")).ms < measure_layer(write_layer(large, "float32")).ms


def test_a_graph_that_does_not_run_is_an_error():
    with pytest.raises(RuntimeFailure, match="cannot run a layer"):
        measure_layer(b"no graph")


def _module(layer):
    if layer.kind == "linear":
        return nn.Linear(layer.inputs, layer.outputs)
    return nn.Conv2d(
        layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def test_the_layers_of_a_network_are_found_with_what_follows_them():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding="valid", bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 8, 3, padding="same", groups=8), nn.Hardswish(),
        nn.Flatten(), nn.Dropout(), nn.Linear(8 * 7 * 7, 5), nn.ReLU(),
    )  # fmt: skip
    found = layers_of(model, torch.zeros(1, 3, 16, 16))
    assert [layer.key for layer in found.values()] == [
        "conv 3>8 3x3 in 16x16 stride 2x2 ReLU6",
        "conv 8>8 3x3 in 7x7 pad 1x1 groups 8",
        "linear 392>5 ReLU",
    ]
    assert list(found) == ["0", "3", "7"]
    assert model.training


@pytest.mark.parametrize("name", ["lenet5", "mobilenet_v2", "resnet20"])
def test_the_layers_have_all_multiply_accumulates(name):
    spec = NetworkSpec(model=name, classes=10, channels=3, image_size=32)
    model, image = build(spec), torch.zeros(1, 3, 32, 32)
    layers = layers_of(model, image)
    assert sum(layer.macs for layer in layers.values()) == count_macs(model, image)
    assert np.mean([bool(layer.activation) for layer in layers.values()]) > 0.4
