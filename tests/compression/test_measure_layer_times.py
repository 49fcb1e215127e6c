"""Which kernel is which layer, and how long each takes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from slimcast.errors import StepError
from slimcast.measure.layer_times import assign, layer_times
from slimcast_edge import bench
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.bench import NetworkTime, measure_kernels
from slimcast_edge.runtime.layer import KernelTimes
from support_artifacts import LABELS, OPSET, finish, make_artifact, make_model


def residual_graph():
    """Two convolutions whose sum goes through a ReLU into a linear layer; one of them is the short cut."""
    node = helper.make_node
    return helper.make_graph(
        [
            node("Conv", ["x", "w1"], ["a"], name="first"),
            node("Relu", ["a"], ["ra"]),
            node("Conv", ["ra", "w2"], ["b"], name="second"),
            node("Conv", ["x", "w3"], ["c"], name="short"),
            node("Add", ["b", "c"], ["s"]),
            node("Relu", ["s"], ["rs"]),
            node("Gemm", ["rs", "w4"], ["y"], name="fc"),
        ],
        "residual",
        [],
        [],
    )


def times(*kernels):
    return NetworkTime(whole_ms=1.0, kernels=kernels, runs=3)


def test_a_kernel_that_is_named_by_its_value_is_the_layer_behind_it():
    network = times(
        ("Transpose_0", "Transpose", 0.5),
        ("ra_nchwc", "Conv", 1.0),
        ("c_nchwc", "Conv", 2.0),
        ("rs_nchwc", "Conv", 4.0),
        ("ReorderOutput", "ReorderOutput", 0.25),
        ("fused fc", "FusedGemm", 8.0),
        ("Transpose_9", "Transpose", 0.5),
    )
    layers, others = assign(network, residual_graph())
    assert layers == {"first": 1.0, "second": 4.0, "short": 2.0, "fc": 8.0}
    assert list(layers) == ["first", "second", "short", "fc"]
    assert others == {"Transpose": 1.0, "ReorderOutput": 0.25}


def test_integer_kernels_keep_their_names_behind_a_token():
    network = times(
        ("first_token_12", "QLinearConv", 1.0),
        ("second_token_15", "QLinearConv", 2.0),
        ("short_token_18", "QLinearConv", 3.0),
        ("fc", "QGemm", 4.0),
        ("fc/QuantizeLinear", "QuantizeLinear", 5.0),
    )
    layers, others = assign(network, residual_graph())
    assert layers == {"first": 1.0, "second": 2.0, "short": 3.0, "fc": 4.0}
    assert others == {"QuantizeLinear": 5.0}


def test_a_kernel_that_leads_nowhere_keeps_its_own_name():
    layers, _ = assign(times(("strange", "ConvInteger", 1.0)), residual_graph())
    assert layers == {"strange": 1.0}


def test_what_the_profiler_adds_is_taken_off_each_kernel(monkeypatch):
    made = [
        KernelTimes(name="flatten", operator="Flatten", times_ms=np.array([0.004, 0.003, 0.9])),
        KernelTimes(name="fc", operator="Gemm", times_ms=np.array([0.5, 0.104, 0.1])),
    ]
    monkeypatch.setattr(bench, "network_kernels", lambda *_, **__: made)
    network = measure_kernels(make_artifact(), bursts=1)
    assert network.kernels == (("flatten", "Flatten", 0.0), ("fc", "Gemm", pytest.approx(0.1)))
    assert network.whole_ms > 0


def wide_artifact():
    """An artifact whose one convolution takes far longer than its linear layer."""
    model = make_model(side=32)
    for node in model.graph.node:
        node.name = {"Conv": "halves", "Gemm": "fc"}.get(node.op_type, "")
    work = helper.make_node("Conv", ["planes", "wide"], ["many"], name="wide", pads=[1, 1, 1, 1])
    back = helper.make_node("Conv", ["many", "narrow"], ["one"], name="narrow", pads=[1, 1, 1, 1])
    numbers = {"wide": (64, 1, 3, 3), "narrow": (1, 64, 3, 3)}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.full(shape, 1e-4, np.float32), name) for name, shape in numbers.items()
    )
    halves = next(node for node in model.graph.node if node.name == "halves")
    halves.input[0] = "one"
    at = list(model.graph.node).index(halves)
    model.graph.node.insert(at, back)
    model.graph.node.insert(at, work)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    onnx.checker.check_model(model)
    info = ArtifactInfo(
        name="wide",
        labels=list(LABELS),
        input=InputSpec(height=32, width=32, channels=1),
        numeric_kind=NumericKind.FLOAT32,
        opset=OPSET,
        recipe_hash="",
    )
    return finish(model, info)


@pytest.mark.slow
def test_layers_of_a_real_network_are_timed_in_a_process_of_its_own():
    found = layer_times(wide_artifact())
    assert list(found.layers) == ["wide", "narrow", "halves", "fc"]
    assert found.layers["wide"] + found.layers["narrow"] > found.layers["fc"]
    assert found.whole_ms > 0
    assert found.sum_ms == pytest.approx(sum(found.layers.values()) + sum(found.others.values()))
    assert "Conv" not in found.others
    assert "cores" in found.machine


@pytest.mark.slow
def test_what_cannot_be_run_is_said():
    with pytest.raises(StepError, match="ONNX"):
        layer_times(b"this is no model" * 100)
