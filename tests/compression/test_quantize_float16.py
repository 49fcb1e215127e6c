import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from slimcast.errors import StepError
from slimcast.export.onnx_export import export_onnx
from slimcast.models.build import NetworkSpec, build
from slimcast.quantize.float16 import to_float16
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import InputSpec

RGB = InputSpec(height=32, width=32, channels=3)
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def _model(name):
    torch.manual_seed(0)
    return build(NetworkSpec(model=name, classes=10, channels=3, image_size=32)).eval()


def _graph(model):
    return export_onnx(model, size=RGB, mean=(0.5,) * 3, std=(0.5,) * 3, classes=10)


def _logits(graph):
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "mobilenet_v2", "efficientnet_b0", "densenet40"])
def test_answers_differ_by_rounding_only_and_the_file_is_half_as_large(name):
    whole = _graph(_model(name))
    half = to_float16(whole, keep=(), reporter=SilentReporter())
    wanted, logits = _logits(whole), _logits(half)
    assert logits.dtype == np.float32
    assert np.abs(logits - wanted).max() < 0.02 * max(1.0, np.ptp(wanted))
    assert half.ByteSize() < 0.6 * whole.ByteSize()


def test_layers_to_keep_stay_in_float32():
    half = to_float16(_graph(_model("resnet20")), keep={"conv1"}, reporter=SilentReporter())
    stored = {item.name: item.data_type for item in half.graph.initializer}
    kinds = {node.name: stored[node.input[1]] for node in half.graph.node if node.op_type == "Conv"}
    assert kinds.pop("conv1") == FLOAT
    assert set(kinds.values()) == {HALF}


def test_a_weight_beyond_16_bits_is_said_by_layer():
    model = _model("lenet5")
    with torch.no_grad():
        model.conv2.weight[0, 0, 0, 0] = 1e6
    with pytest.raises(StepError, match=r"A weight of conv2 is 1e\+06, and 16 bits hold 65504 at most"):
        to_float16(_graph(model), keep=(), reporter=SilentReporter())
