"""Weights before and after: what the Trade-offs page shows of a quantized variant's layers."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from streamlit.testing.v1 import AppTest

from slimcast.records import Variant
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_web.services import layers, tradeoffs
from support_artifacts import LABELS, OPSET, finish, make_model
from support_wait import PATIENCE
from support_web import measurements, running_run


def _artifact(kind: NumericKind) -> bytes:
    """The network of the tests with named layers; in int8 its linear layer's weights are integers times 4."""
    model = make_model()
    for node in model.graph.node:
        node.name = {"Conv": "halves", "Gemm": "fc"}.get(node.op_type, "")
    if kind is NumericKind.INT8:
        weights = {item.name: item for item in model.graph.initializer}
        integers = np.round(numpy_helper.to_array(weights["mix"]) / 4.5).astype(np.int8)
        weights["mix"].CopyFrom(numpy_helper.from_array(integers, "mix"))
        model.graph.initializer.append(numpy_helper.from_array(np.array(4.5, np.float32), "scale"))
        unpack = helper.make_node("DequantizeLinear", ["mix", "scale"], ["unpacked"])
        model.graph.node.insert(0, unpack)
        next(node for node in model.graph.node if node.name == "fc").input[1] = "unpacked"
    onnx.checker.check_model(model)
    info = ArtifactInfo(
        name="n", labels=list(LABELS), input=InputSpec(height=32, width=32, channels=1), numeric_kind=kind,
        opset=OPSET, recipe_hash="",
    )  # fmt: skip
    return finish(model, info)


@pytest.fixture
def run(opened):
    run = running_run(opened.store)
    for step, kind in enumerate([NumericKind.FLOAT32, NumericKind.INT8]):
        opened.store.save_variant(
            Variant(
                run_id=run.id, name=f"{step}-v", step=step, step_kind="quantize" if step else "train",
                numeric_kind=kind.value, artifact=opened.store.artifacts.put(_artifact(kind)),
                measurements=measurements(0.9, 1000 - 500 * step, 1000, 0.1),
            )
        )  # fmt: skip
    return run


def test_layers_are_compared_by_the_weights_that_compute(opened, run):
    points = tradeoffs.points(opened, [run.id])
    stayed, changed = layers.layer_changes(opened, points, points[1])
    assert (stayed.name, stayed.stayed, stayed.error) == ("halves", True, 0)
    assert (changed.name, changed.stayed, changed.values) == ("fc", False, 4)
    assert np.array_equal(np.unique(changed.after), [-13.5, -9, 9, 13.5])
    assert changed.error == pytest.approx(np.sqrt((1 + 1.5**2) / (8**2 + 12**2)))
    assert layers.layer_changes(opened, points, points[0]) == []


def test_figures_of_layers_are_those_of_the_file(opened, run):
    points = tradeoffs.points(opened, [run.id])
    before, after = (f"{run.id}/{name}" for name in ("0-v", "1-v"))
    bits = layers.layer_bars(opened, points, "bits")
    assert bits == {before: {"halves": 32, "fc": 32}, after: {"halves": 32, "fc": 8}}
    channels, weights = (layers.layer_bars(opened, points, name)[after] for name in ("channels", "weights"))
    graph = make_model().graph
    sizes = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    assert weights["fc"] == sizes["mix"].size
    assert channels["fc"] in sizes["mix"].shape
    assert layers.layer_bars(opened, points, "sparsity")[before]["fc"] == 100 * np.mean(sizes["mix"] == 0)


def test_the_page_shows_them_when_asked(opened, run):
    script = "from slimcast_web.pages import tradeoffs\ntradeoffs.show()"
    page = AppTest.from_string(script, default_timeout=60 * PATIENCE).run()
    assert any(text.value.startswith("Smaller only than 0-v") for text in page.markdown)
    page.query_params["show"] = "compare"
    page.session_state["compare-weights"] = True
    page.run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == 3  # the variants, their layers, the weights of one
    assert any("In float: halves. The weights of fc change most" in text.value for text in page.caption)
