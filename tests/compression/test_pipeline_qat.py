"""Quantization-aware training in a run: beside static int8, in its own time, with what came before."""

import copy

import numpy as np
import onnx
import pytest
import torch

from slimcast.errors import Cancelled, RecipeError, StepError
from slimcast.measure.files import weights_of
from slimcast.measure.kernels import integer_layers
from slimcast.pipeline.job import Job
from slimcast.pipeline.quantizing import qat
from slimcast.quantize.runs import logits_of
from slimcast.recipe import QatQuantize, parse_recipe
from slimcast.reporting import ScaledReporter
from slimcast_edge.artifact import NumericKind
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet

RECIPE = "{name: t, model: {name: lenet5}, data: {name: digits}, steps: [STEPS{kind: quantize, method: qat}]}"


def _run(folder, model=None, reporter=None, before="", **fields):
    recipe = parse_recipe(RECIPE.replace("STEPS", before))
    job = Job(recipe=recipe, run_id="r", store=MemoryStore(folder), data=digits(), network=LENET, threads=1)
    fields = {"epochs": 1, "batch_size": 64, "calibration_samples": 32, "distill": None} | fields
    step = QatQuantize(kind="quantize", method="qat", **fields)
    reporter = reporter or RecordingReporter()
    index = len(recipe.steps) - 1
    draft = qat.run_qat(job, index, step, model or trained_lenet(), ScaledReporter(reporter, 0, 1))
    return draft, reporter


def _accuracy(graph):
    return float((logits_of(graph, digits().test_images).argmax(1) == digits().test_labels).mean())


def _warnings(reporter):
    return [text for level, text in reporter.logs if level == "warning"]


@pytest.mark.slow
def test_training_keeps_what_static_int8_has(tmp_path):
    model = trained_lenet()
    before = copy.deepcopy(model.state_dict())
    draft, reporter = _run(tmp_path, epochs=3, learning_rate=5e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert draft.model is not model
    assert draft.kind is NumericKind.INT8
    assert integer_layers(draft.graph.SerializeToString(), draft.kind) == (4, 5)
    # 360 images: a share of one percent is three of them.
    static, _ = _static(tmp_path)
    assert _accuracy(draft.graph) > _accuracy(static.graph) - 0.015
    assert not _warnings(reporter)
    [said] = [text for _, text in reporter.logs if "answer of the network in training" in text]
    assert float(said.partition(" on ")[2].partition("%")[0]) > 98
    assert reporter.fractions == sorted(reporter.fractions)


def _static(folder):
    return _run(folder, learning_rate=0.5)


@pytest.mark.slow
def test_what_training_has_ruined_gives_way_to_static_int8(tmp_path):
    draft, reporter = _static(tmp_path)
    assert any("so the static one is kept" in text for text in _warnings(reporter))
    assert draft.model is trained_lenet()
    assert _accuracy(draft.graph) > 0.9


@pytest.mark.slow
def test_somebody_cancels_in_the_middle_of_the_training(tmp_path):
    class Impatient(RecordingReporter):
        def check_cancelled(self):
            if any(name == "train loss" for name, *_ in self.points):
                raise Cancelled("Cancelled by the test.")

    before = copy.deepcopy(trained_lenet().state_dict())
    with pytest.raises(Cancelled):
        _run(tmp_path, reporter=Impatient(), epochs=100)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained_lenet().state_dict().items())


@pytest.mark.slow
def test_zeros_stay_zero(tmp_path):
    model = copy.deepcopy(trained_lenet())
    with torch.no_grad():
        for name in ("conv2", "fc1", "fc2"):
            weight = model.get_parameter(f"{name}.weight")
            weight[weight.abs() < weight.abs().median()] = 0
    before = "{kind: sparsify, ratio: 0.5}, "
    draft, _ = _run(tmp_path, model, before=before, learning_rate=5e-4)
    sparse = [float((weight == 0).mean()) for weight in weights_of(draft.graph) if weight.size > 2000]
    assert len(sparse) == 3
    assert min(sparse) >= 0.499


@pytest.mark.slow
def test_layers_to_keep_stay_in_float(tmp_path):
    draft, reporter = _run(tmp_path, keep=("fc*",), epochs=0.2)
    assert integer_layers(draft.graph.SerializeToString(), draft.kind) == (1, 5)
    assert any("roundings of 1 layers' weights" in text for _, text in reporter.logs)
    stored = {item.name: item.data_type for item in draft.graph.graph.initializer}
    kept = [node for node in draft.graph.graph.node if node.name in {"fc1", "fc2", "fc3"}]
    assert all(stored[node.input[1]] == onnx.TensorProto.FLOAT for node in kept)
    with pytest.raises(StepError, match="keep: 'fx' fits no layer of this network"):
        _run(tmp_path, keep=("fx",))


def test_feature_maps_are_refused():
    with pytest.raises(RecipeError, match=r"leave distill\.features out"):
        parse_recipe(RECIPE.replace("STEPS", "").replace("qat", "qat, distill: {features: true}"))


def test_bars_count_the_training():
    assert qat.epochs_of(QatQuantize(kind="quantize", method="qat", epochs=10)) > 10
    assert np.isfinite(qat.epochs_of(QatQuantize(kind="quantize", method="qat", epochs=0.1)))
