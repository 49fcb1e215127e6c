"""Tables of a run: read from its events, drawn on the Runs page, downloaded; the note about zeros."""

import csv
import io
import json

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.records import EventKind, Measurement, Table, Variant
from slimcast_web.services import runs, tables, tradeoffs
from support_wait import PATIENCE
from support_web import finished_run, measurements, running_run

SENSITIVITY = Table(
    name="1-sensitivity",
    columns=("group", "layers", "ratio", "channels", "accuracy", "macs"),
    rows=(
        ("conv1", "conv1", 0.0, 6, 0.98, 400_000),
        ("conv1", "conv1", 0.5, 3, 0.91, 300_000),
        ("conv2", "conv2, <b>fc</b>", 0.0, 16, 0.98, 400_000),
    ),
)
HISTORY = Table(
    name="0-netadapt",
    columns=("iteration", "group", "channels", "accuracy", "predicted_latency_ms", "measured_latency_ms"),
    rows=((0, "", None, 0.9, 10.0, 10.0), (1, "conv1", 24, 0.89, 8.0, None), (2, "fc1", 80, 0.85, 6.0, 6.2)),
)
OTHER = Table(name="2-sparsity", columns=("layer", "zeros"), rows=(("conv1", 3),))


def _page(name: str) -> AppTest:
    script = f"from slimcast_web.pages import {name}\n{name}.show()"
    return AppTest.from_string(script, default_timeout=60 * PATIENCE).run()


def _plots(test: AppTest) -> list[dict]:
    return [json.loads(element.proto.spec) for element in test.get("plotly_chart")]


def test_a_run_has_each_table_as_it_was_told_last_by_step(opened):
    run = running_run(opened.store)
    for number in range(10, 13):
        opened.store.save_table(run.id, Table(name=f"{number}-x", columns=("a",), rows=()))
    for table in (SENSITIVITY, Table(name=HISTORY.name, columns=HISTORY.columns, rows=()), HISTORY):
        opened.store.save_table(run.id, table)
    found = runs.detail(opened, run.id).tables
    assert found[:2] == [HISTORY, SENSITIVITY]
    assert [table.name for table in found[2:]] == ["10-x", "11-x", "12-x"]
    assert tables.title(SENSITIVITY) == "Step 1: sensitivity"


def test_the_grid_has_a_hole_where_nothing_was_measured():
    grid = tables.heat_map(SENSITIVITY)
    assert grid.groups == ["conv1", "conv2"]
    assert grid.ratios == [0.0, 0.5]
    assert grid.accuracies == [[98.0, 91.0], [98.0, None]]
    assert tables.history(SENSITIVITY) is None


def test_a_history_is_a_line_with_what_was_measured():
    line = tables.history(HISTORY)
    assert line.cost == "latency_ms"
    assert line.costs == [10.0, 8.0, 6.0]
    assert line.accuracies == [90.0, 89.0, 85.0]
    assert line.measured == [(10.0, 90.0), (6.2, 85.0)]
    assert line.labels[1] == "iteration 1: conv1 to 24 channels"
    assert tables.heat_map(HISTORY) is None


@pytest.mark.parametrize("table", [OTHER, Table(name="x", columns=SENSITIVITY.columns, rows=())])
def test_other_tables_are_only_listed(table):
    assert tables.heat_map(table) is None
    assert tables.history(table) is None


def test_the_file_holds_every_cell(opened):
    run = running_run(opened.store)
    name, text = tables.csv_file(run, HISTORY)
    assert name == f"{run.name}-0-netadapt.csv"
    rows = list(csv.reader(io.StringIO(text)))
    assert tuple(rows[0]) == HISTORY.columns
    assert rows[2] == ["1", "conv1", "24", "0.89", "8.0", ""]


def test_the_runs_page_draws_them_and_never_takes_a_name_for_html(opened):
    run = finished_run(opened.store)
    for table in (SENSITIVITY, HISTORY, OTHER):
        opened.store.add_events(run.id, [(1.0, EventKind.TABLE, {"name": table.name} | _data(table))])
    test = _page("runs")
    assert not test.exception
    assert [expander.label for expander in test.expander][:3] == [
        "Step 0: netadapt", "Step 1: sensitivity", "Step 2: sparsity",
    ]  # fmt: skip
    kinds = [trace["type"] for plot in _plots(test) for trace in plot["data"]]
    assert kinds.count("heatmap") == 1
    assert "scatter" in kinds
    heat = next(plot for plot in _plots(test) if plot["data"][0]["type"] == "heatmap")
    assert "<b>fc</b>" not in json.dumps(heat["data"][0]["text"])
    assert len(test.dataframe) >= 3


def test_a_run_without_tables_says_nothing_of_them(opened):
    finished_run(opened.store)
    test = _page("runs")
    assert "Findings" not in [element.value for element in test.subheader]


def test_zeros_are_explained_where_a_step_made_them(opened):
    run = running_run(opened.store)
    for step, (kind, sparsity) in enumerate([("train", 0.01), ("sparsify", 0.8), ("finetune", 0.8)]):
        figures = tuple(m for m in measurements(0.9, 1000, 1000, 0.1) if m.name != "sparsity")
        zeros = Measurement(name="sparsity", value=sparsity, higher_is_better=True)
        opened.store.save_variant(
            Variant(
                run_id=run.id, name=f"{step}-{kind}", step=step, step_kind=kind, numeric_kind="float32",
                artifact=None, measurements=(*figures, zeros),
            )
        )  # fmt: skip
    points = tradeoffs.points(opened, [run.id])
    assert tradeoffs.zeros_note(points, points[0]) == ""
    for point in points[1:]:
        assert "80.00 %" in tradeoffs.zeros_note(points, point)
        assert "gain no speed" in tradeoffs.zeros_note(points, point)
    captions = [element.value for element in _page("tradeoffs").caption]
    assert sum("gain no speed" in text for text in captions) == 1


def _data(table: Table) -> dict:
    return {"columns": list(table.columns), "rows": [list(row) for row in table.rows]}


@pytest.mark.parametrize(
    ("numbers", "size", "latency", "words"),
    [
        (
            "int8",
            31_000,
            0.02,
            ["Smaller and faster than 2-finetune.", "4 of 5 layers run in integer"],
        ),
        ("int8", 31_000, 0.04, ["Smaller only than 2-finetune: what a call costs"]),
        ("weight_only", 15_000, 0.038, ["Smaller only", "no kernels for such weights"]),
        ("binary", 15_000, 0.038, ["Smaller only", "one-bit weights"]),
        ("float16", 40_000, 0.038, ["Smaller only", "no 16-bit kernels"]),
        ("int8", 90_000, 0.09, ["Neither smaller nor faster than 2-finetune"]),
        ("float32", 31_000, 0.02, []),
    ],
)
def test_what_fewer_bits_are_worth_is_said_in_words(opened, numbers, size, latency, words):
    run = finished_run(opened.store)
    share = Measurement(name="integer_share", value=0.8, higher_is_better=True, n=5)
    quantized = Variant(
        run_id=run.id, name="4-x", step=4, step_kind="quantize", numeric_kind=numbers, artifact=None,
        measurements=(*measurements(0.95, size, 164_000, latency), share),
    )  # fmt: skip
    point = tradeoffs.Point(run=run, variant=quantized)
    note = tradeoffs.numbers_note([*tradeoffs.points(opened, [run.id]), point], point)
    assert bool(note) == bool(words)
    assert all(word in note for word in words)
