"""What the runtime really executes, and with which weights."""

import numpy as np
import onnx
import pytest

from slimcast.errors import SlimcastError
from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.kernels import executed_graph, integer_layers
from slimcast.measure.layer_weights import layer_weights
from slimcast.quantize.float16 import to_float16
from slimcast.quantize.static import MINMAX, StaticPlan, quantize
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import ArtifactInfo, NumericKind
from support_engine import SIZE, digits, trained_lenet

QUIET = SilentReporter()
LAYERS = ["conv1", "conv2", "fc1", "fc2", "fc3"]


def _artifact(graph, kind):
    labels = [str(i) for i in range(10)]
    return pack(
        graph,
        ArtifactInfo(name="q", labels=labels, input=SIZE, numeric_kind=kind, opset=17, recipe_hash=""),
    )


def _float():
    return export_onnx(trained_lenet(), size=SIZE, mean=digits().mean, std=digits().std, classes=10)


def _int8():
    plan = StaticPlan(samples=32, ranges=(MINMAX,))
    return quantize(_float(), digits().train_images, plan, reporter=QUIET)


def test_layers_in_integer_kernels_are_counted():
    assert integer_layers(_artifact(_int8(), NumericKind.INT8), NumericKind.INT8) == (4, 5)
    assert integer_layers(_artifact(_float(), NumericKind.FLOAT32), NumericKind.FLOAT32) == (0, 5)


def test_the_kind_decides_how_a_graph_is_opened():
    kinds = [
        {node.op_type for node in executed_graph(_int8(), kind).graph.node}
        for kind in (NumericKind.INT8, NumericKind.WEIGHT_ONLY)
    ]
    assert "QLinearConv" in kinds[0]
    assert "QLinearConv" not in kinds[1]


def test_weights_are_those_that_compute_whatever_form_they_are_stored_in():
    model = trained_lenet()
    whole = layer_weights(_artifact(_float(), NumericKind.FLOAT32))
    assert list(whole) == LAYERS
    for name in LAYERS:
        assert np.array_equal(whole[name], model.get_submodule(name).weight.detach().numpy())
    integers = layer_weights(_artifact(_int8(), NumericKind.INT8))
    half = layer_weights(_artifact(to_float16(_float(), keep=(), reporter=QUIET), NumericKind.FLOAT16))
    for name in LAYERS:
        largest = np.abs(whole[name]).max()
        assert np.abs(integers[name] - whole[name]).max() <= largest / 254 * 1.01
        assert np.abs(half[name] - whole[name]).max() <= largest / 1024
        assert integers[name].dtype == half[name].dtype == np.float32
    assert np.array_equal(integers["conv1"], whole["conv1"]), "the first convolution stays in float"


def test_a_file_that_is_no_artifact_is_refused():
    with pytest.raises(SlimcastError):
        layer_weights(onnx.ModelProto().SerializeToString())
