import numpy as np
import onnx
import pytest
import torch
from torch import nn

from slimcast.export.onnx_export import export_onnx
from slimcast.quantize.bias import correct_biases
from slimcast.quantize.qdq import Ranges, insert
from slimcast.quantize.runs import logits_of
from slimcast.quantize.workspace import Workspace
from slimcast_edge.artifact import InputSpec

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
SIZE = InputSpec(height=16, width=16, channels=3)


def _graph(groups):
    """A network whose second layer has weights that round badly: one large one sets the scale of the rest."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 1, groups=groups), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    with torch.no_grad():
        model[2].weight.uniform_(0.1, 0.3)
        model[2].weight[:, 0] = 100.0
        model[0].weight[:: 16 // groups] = 0  # what the large weights read is never there
        model[0].bias[:: 16 // groups] = 0
    return export_onnx(model.eval(), size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3, classes=10)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_mean_error_of_rounded_weights_goes(groups):
    graph = _graph(groups)
    with Workspace() as folder:
        quantized = insert(graph, IMAGES, Ranges(method="minmax", per_channel=True), "uint8", (), folder)
    content = quantized.SerializeToString()
    corrected = correct_biases(quantized, graph, IMAGES)
    assert quantized.SerializeToString() == content
    onnx.checker.check_model(corrected)
    wanted = logits_of(graph, IMAGES)
    before, after = (np.abs((logits_of(g, IMAGES) - wanted).mean(0)).max() for g in (quantized, corrected))
    assert after < 0.5 * before
