"""Equalization leaves the answers as they are, and makes the channels of neighbouring layers alike."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from slimcast.export.onnx_export import export_onnx
from slimcast.models.build import NetworkSpec, build
from slimcast.quantize.equalize import equalize
from slimcast.quantize.runs import logits_of
from slimcast_edge.artifact import InputSpec

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
RGB = InputSpec(height=32, width=32, channels=3)


def _graph(model):
    return export_onnx(model.eval(), size=RGB, mean=(0.5,) * 3, std=(0.5,) * 3, classes=10)


def _uneven(*layers):
    """A chain whose first layer has channels of very different size."""
    torch.manual_seed(0)
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(10))
    model(torch.zeros(1, 3, 32, 32))
    with torch.no_grad():
        model[0].weight *= torch.logspace(-2, 2, len(model[0].weight)).reshape(-1, 1, 1, 1)
    return model


def _weight(graph, name):
    node = next(node for node in graph.graph.node if node.name == name)
    return numpy_helper.to_array(next(w for w in graph.graph.initializer if w.name == node.input[1]))


def _ranges(weight):
    return np.abs(weight.reshape(len(weight), -1)).max(1)


CHAINS = {
    "convolution": [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)],
    "depthwise": [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 4, 1)],
    "pooling and linear": [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2)],
    "no activation": [nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 4, 3)],
}


@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_uneven_channels_become_alike_and_answers_stay(layers):
    graph = _graph(_uneven(*layers))
    even = equalize(graph)
    wanted = logits_of(graph, IMAGES)
    np.testing.assert_allclose(logits_of(even, IMAGES), wanted, atol=1e-4 * np.ptp(wanted))
    before, after = _ranges(_weight(graph, "0")), _ranges(_weight(even, "0"))
    spread = before.max() / before.min()
    assert spread > 1000
    assert after.max() / after.min() < 5 * spread**0.5  # the next layer takes the other half


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "mobilenet_v2", "vgg16_bn", "densenet40"])
def test_answers_of_catalog_networks_stay(name):
    graph = _graph(build(NetworkSpec(model=name, classes=10, channels=3, image_size=32), seed=1))
    wanted = logits_of(graph, IMAGES)
    np.testing.assert_allclose(logits_of(equalize(graph), IMAGES), wanted, atol=2e-4 * max(1, np.ptp(wanted)))


def test_a_clip_between_two_layers_keeps_them_as_they_are():
    graph = _graph(_uneven(nn.Conv2d(3, 8, 3), nn.ReLU6(), nn.Conv2d(8, 4, 3), nn.ReLU6()))
    assert np.array_equal(_weight(equalize(graph), "0"), _weight(graph, "0"))


def test_a_channel_of_zeros_stays_one():
    model = _uneven(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    with torch.no_grad():
        model[0].weight[2] = 0
    even = equalize(_graph(model))
    assert not _weight(even, "0")[2].any()
    assert all(np.isfinite(numpy_helper.to_array(item)).all() for item in even.graph.initializer)


def test_the_given_graph_is_left_as_it_is():
    graph = _graph(_uneven(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)))
    content = onnx.ModelProto.SerializeToString(graph)
    equalize(graph)
    assert onnx.ModelProto.SerializeToString(graph) == content
