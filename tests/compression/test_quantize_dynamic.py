import numpy as np
import onnx
import pytest
from torch import nn

from slimcast.errors import StepError
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.files import weights_of
from slimcast.models.build import NetworkSpec, build
from slimcast.quantize.dynamic import quantize_dynamic
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import InputSpec
from support_engine import RecordingReporter

RGB = InputSpec(height=32, width=32, channels=3)


def _graph(model):
    return export_onnx(model, size=RGB, mean=(0.5,) * 3, std=(0.5,) * 3, classes=10)


def test_linear_layers_hold_integers_and_convolutions_stay():
    model = build(NetworkSpec(model="alexnet", classes=10, channels=3, image_size=32))
    quantized = quantize_dynamic(_graph(model), reporter=SilentReporter())
    integers = [node.op_type for node in quantized.graph.node if "Integer" in node.op_type]
    assert integers == ["MatMulInteger"] * 3
    kinds = {w.dtype for w in weights_of(quantized)}
    assert kinds == {np.dtype(np.float32)}, "the convolutions"
    assert sum(item.data_type == onnx.TensorProto.INT8 for item in quantized.graph.initializer) >= 3


def test_it_says_where_there_is_little_to_gain():
    model = build(NetworkSpec(model="resnet20", classes=10, channels=3, image_size=32))
    reporter = RecordingReporter()
    quantize_dynamic(_graph(model), reporter=reporter)
    assert any(level == "warning" and "Static quantization" in text for level, text in reporter.logs)


def test_a_network_without_linear_layers_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(StepError, match="this network has none"):
        quantize_dynamic(_graph(model), reporter=SilentReporter())
