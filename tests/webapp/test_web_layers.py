"""Weights before and after: what the Trade-offs page shows of a quantized variant's layers."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from streamlit.testing.v1 import AppTest

from slimcast.errors import StepError
from slimcast.measure.layer_times import LayerTimes
from slimcast.records import Variant
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_web.services import layers, tradeoffs
from support_artifacts import LABELS, OPSET, finish, make_model
from support_wait import PATIENCE, wait_for
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


TIMES = LayerTimes(
    layers={"halves": 0.5, "fc": 0.25},
    others={"Cast": 0.05},
    whole_ms=0.7,
    runs=60,
    machine="Example CPU, 2 cores",
    busy=False,
)


def compare_page():
    script = "from slimcast_web.pages import tradeoffs\ntradeoffs.show()"
    page = AppTest.from_string(script, default_timeout=60 * PATIENCE)
    page.query_params["show"] = "compare"
    page.run()
    page.segmented_control(key="compare-layers").set_value("time").run()
    assert not page.exception
    return page


def captions(page):
    return "\n".join(text.value for text in page.caption)


def test_times_of_layers_are_measured_when_asked_and_stand_beside_the_whole(opened, run):
    asked = []
    opened.layers.measure = lambda content: asked.append(content) or TIMES
    page = compare_page()
    assert asked == []
    charts = len(page.get("plotly_chart"))
    page.button(key="layers-measure").click().run()
    files = [variant.artifact for variant in opened.store.variants(run.id)]
    wait_for(lambda: all(opened.layers.of(sha256) for sha256 in files), "the layers to be timed")
    page.run()
    assert asked == [opened.store.artifacts.local_path(sha256).read_bytes() for sha256 in files]
    assert len(page.get("plotly_chart")) == charts + 1
    sums = next(frame.value for frame in page.dataframe if "together, ms" in frame.value)
    assert list(sums["together, ms"]) == pytest.approx([0.8, 0.8])
    assert list(sums["whole network, p50 ms"]) == [0.7, 0.7]
    assert "Example CPU, 2 cores" in captions(page)
    assert "the figures are too large" not in captions(page)
    bars = layers.layer_bars(opened, tradeoffs.points(opened, [run.id]), "time")
    assert next(iter(bars.values())) == {"halves": 0.5, "fc": 0.25, "(Cast)": 0.05}


def test_what_makes_the_figures_doubtful_is_said(opened, run):
    opened.layers.measure = lambda _content: replace(TIMES, whole_ms=0.3, busy=True)
    files = [variant.artifact for variant in opened.store.variants(run.id)]
    opened.layers.start(files)
    wait_for(lambda: not opened.layers.waits(files), "the layers to be timed")
    said = captions(compare_page())
    assert "Compare the layers, not their sum" in said
    assert "the figures are too large" in said


def test_a_file_that_cannot_be_timed_is_said_and_the_others_are_shown(opened, run):
    def measure(content):
        if content == _artifact(NumericKind.INT8):
            raise StepError("Its layers cannot be timed: it broke.")
        return TIMES

    opened.layers.measure = measure
    files = [variant.artifact for variant in opened.store.variants(run.id)]
    opened.layers.start(files)
    wait_for(lambda: not opened.layers.waits(files), "the layers to be timed")
    page = compare_page()
    assert any("it broke" in text.value for text in page.text)
    assert len(next(frame.value for frame in page.dataframe if "together, ms" in frame.value)) == 1
