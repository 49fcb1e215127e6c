"""Static int8 in a run: the fields of its step, and the accuracy budget."""

import copy

import pytest

from slimcast.errors import StepError
from slimcast.pipeline.job import Job
from slimcast.pipeline.quantizing import budget, static
from slimcast.quantize.static import CANDIDATES
from slimcast.recipe import StaticQuantize, parse_recipe
from slimcast.reporting import ScaledReporter
from support_engine import LENET, MemoryStore, RecordingReporter, digits, trained_lenet

RECIPE = "{name: t, model: {name: lenet5}, data: {name: digits}, steps: [{kind: quantize}]}"


def _run(folder, model=None, **fields):
    recipe = parse_recipe(RECIPE)
    job = Job(recipe=recipe, run_id="r", store=MemoryStore(folder), data=digits(), network=LENET, threads=1)
    step = StaticQuantize(kind="quantize", calibration_samples=32, **fields)
    reporter = RecordingReporter()
    draft = static.run_static(job, 0, step, model or trained_lenet(), ScaledReporter(reporter, 0, 1))
    return draft, reporter


def _said(reporter):
    return "\n".join(text for _, text in reporter.logs)


@pytest.mark.parametrize(
    ("fields", "titles"),
    [
        (
            {},
            [
                "MinMax, per channel",
                "Percentile 99.99, per channel",
                "Entropy, per channel",
                "MinMax, per tensor",
            ],
        ),
        ({"calibration": "entropy"}, ["Entropy, per channel"]),
        ({"calibration": "percentile", "per_channel": False}, ["Percentile 99.99, per tensor"]),
        ({"per_channel": False}, ["MinMax, per tensor"]),
    ],
)
def test_what_is_tried(fields, titles, tmp_path):
    _, reporter = _run(tmp_path, **fields)
    assert [text.split(":")[0] for _, text in reporter.logs if "logits off" in text] == titles


def test_layers_to_keep_stay_in_float(tmp_path):
    _, reporter = _run(tmp_path, keep=("fc*",))
    assert "1 of 5 convolutions and linear layers run in integers" in _said(reporter)
    with pytest.raises(StepError, match="keep: 'fx' fits no layer of this network"):
        _run(tmp_path, keep=("fx",))


def test_a_budget_that_holds_at_once_tries_nothing_else(tmp_path):
    _, reporter = _run(tmp_path, max_loss=0.05)
    columns, rows = reporter.tables["0-fixes"]
    assert columns == ("fix", "accuracy", "loss", "integer_layers", "verdict")
    assert [(row[0], row[4]) for row in rows] == [("best ranges by logits", "kept")]
    assert "of accuracy lost on" in _said(reporter)


def test_a_budget_that_nothing_meets_ends_with_the_best_and_says_so(tmp_path, monkeypatch):
    accuracies = iter([1.0, *(0.5 + i / 100 for i in range(40))])
    monkeypatch.setattr(budget.Budget, "_accuracy", lambda _self, _graph: next(accuracies))
    draft, reporter = _run(tmp_path, max_loss=0.001)
    _, rows = reporter.tables["0-fixes"]
    titles = [row[0] for row in rows]
    assert titles[0] == "best ranges by logits"
    _, plain = _run(tmp_path)
    (kept,) = [ranges.title for ranges in CANDIDATES if f"Kept {ranges.title};" in _said(plain)]
    assert set(titles[1:4]) == {ranges.title for ranges in CANDIDATES} - {kept}, "none is made twice"
    assert titles[4:7] == ["equalized", "equalized, biases corrected", "biases corrected"]
    assert [title.count(",") for title in titles[7:-1]] == [0, 1], "one and two layers in float"
    assert titles[-1] == "quantization-aware training"
    layers, errors = reporter.tables["0-layers"]
    assert layers == ("layer", "error", "same_answers")
    assert [row[1] for row in errors] == sorted((row[1] for row in errors), reverse=True)
    assert {row[0] for row in errors} == {"conv2", "fc1", "fc2", "fc3"}
    assert [
        text for level, text in reporter.logs if level == "warning" and "train longer with method qat" in text
    ]
    assert draft.kind == "int8"


def test_weights_that_are_no_number_are_said_by_layer(tmp_path):
    model = copy.deepcopy(trained_lenet())
    model.conv2.weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(StepError, match="A weight of conv2 is infinite or no number"):
        _run(tmp_path, model)
