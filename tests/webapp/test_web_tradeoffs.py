"""Trade-offs: measures, fronts, machines, links, side by side, answers, the report; and the page itself."""

import html
import re
from dataclasses import replace
from urllib.parse import parse_qs

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from slimcast.data.digits import load as load_digits
from slimcast.measure.predictions import Predictions
from slimcast.records import Benchmark, Measurement, Run, RunState, Variant
from slimcast_web.components.tradeoff_plot import picked
from slimcast_web.plots import report
from slimcast_web.plots.trade_off import Axes, fronts, trade_off
from slimcast_web.services import answers, compared, layers, tradeoff_link, tradeoffs
from slimcast_web.services.measures import KNOWN, measured
from slimcast_web.services.pareto import front
from slimcast_web.services.tradeoff_link import View
from support_artifacts import LABELS, make_artifact
from support_wait import PATIENCE
from support_web import finished_run, measurements, running_run

PI = "pi5: Raspberry Pi 5, 4 cores"
XSS = "<img src=x onerror=alert(1)>"


def page(**query: object) -> AppTest:
    script = "from slimcast_web.pages import tradeoffs\ntradeoffs.show()"
    test = AppTest.from_string(script, default_timeout=60 * PATIENCE)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def texts(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements)


def _point(name: str, run: Run, **values: float) -> tradeoffs.Point:
    figures = tuple(Measurement(name=n, value=v, higher_is_better=n == "accuracy") for n, v in values.items())
    variant = Variant(
        run_id=run.id, name=name, step=0, step_kind="train", numeric_kind="float32", artifact=None,
        measurements=figures,
    )  # fmt: skip
    return tradeoffs.Point(run=run, variant=variant)


RUN = Run(id="r", name="n", recipe_yaml="", recipe_hash="", state=RunState.SUCCEEDED, created_at=0.0)


@pytest.fixture
def answered(opened):
    """A run on digits whose two variants differ in five answers; the second has time on another machine."""
    data = load_digits(opened.settings.data_root, download=False)
    run = running_run(opened.store)
    for step in range(2):
        logits = np.eye(10, dtype=np.float32)[data.test_labels] * 9
        logits[:3] = np.roll(logits[:3], 1, axis=1)  # both are wrong, the same way
        if step:
            logits[3:8] = np.roll(logits[3:8], 2, axis=1)
        kept = Predictions.of_logits(logits, data.test_labels, data.labels)
        figures = measurements(1 - (3 + 5 * step) / 450, 1000 - 500 * step, 1000, 0.1)
        if step:
            figures += (replace(figures[-2], value=0.7, machine=PI),)
        opened.store.save_variant(
            Variant(
                run_id=run.id, name=f"{step}-v", step=step, step_kind="quantize" if step else "train",
                numeric_kind="int8" if step else "float32", artifact=None, measurements=figures,
                predictions=opened.store.artifacts.put(kept.to_bytes()),
            )
        )  # fmt: skip
    return tradeoffs.points(opened, [run.id])


class TestMeasures:
    def test_the_unknown_ones_are_there_in_their_own_words(self):
        one = Measurement(name="energy_mj", value=3.0, unit="mJ", higher_is_better=False)
        found = measured([one, Measurement(name="macs", value=1.0, higher_is_better=False)])
        assert list(found) == ["macs", "energy_mj"]
        assert found["energy_mj"].axis == "energy mj (mJ)"
        assert found["energy_mj"].text(3.0) == "3 mJ"

    def test_differences_are_absolute_and_in_per_cent(self):
        assert KNOWN["accuracy"].change(0.978, 0.953) == "−2.50 points"
        assert KNOWN["size_bytes"].change(248_000, 31_000) == "−217 kB, −87.5 %"
        assert KNOWN["latency_p50_ms"].change(0.1, 0.2) == "+0.100 ms, +100.0 %"
        assert KNOWN["macs"].change(5, 5) == KNOWN["peak_rss_mb"].change(77.2, 77.0) == "the same"

    def test_what_a_device_has_measured_stands_beside_it(self, opened):
        points = tradeoffs.points(opened, [finished_run(opened.store).id])
        slow, fast = (
            Benchmark(
                artifact=points[3].variant.artifact, device="pi5", machine="Raspberry Pi 5", runtime="ORT 1",
                provider="CPUExecutionProvider", threads=2, camera="running", busy=True, at=at, p50_ms=p50,
                p90_ms=p50, p99_ms=p50, mean_ms=p50, std_ms=0.1, runs=300, slowdown=1.0, peak_rss_mb=90.0,
            )
            for at, p50 in ((1.0, 5.0), (2.0, 4.0))
        )  # fmt: skip
        opened.store.benchmarks.add([slow, fast])
        points = tradeoffs.points(opened, [points[0].run.id])
        assert points[3].value("latency_p50_ms") == 0.027
        assert points[3].value("latency_p50_ms", fast.clock) == 4.0
        assert points[2].value("latency_p50_ms", fast.clock) is None
        assert fast.clock in tradeoffs.machines(points)
        assert "p50 of 300 runs, on pi5: Raspberry Pi 5" in tradeoffs.machine_note(points, fast.clock)

    def test_a_machine_is_asked_only_for_what_depends_on_it(self, answered):
        second = answered[1]
        assert second.value("latency_p50_ms") == 0.1
        assert second.value("latency_p50_ms", PI) == 0.7
        assert second.value("accuracy", PI) == second.value("accuracy")
        assert answered[0].value("latency_p50_ms", PI) is None
        assert tradeoffs.machines(answered) == ["Example CPU, 2 cores, Linux x86_64", PI]


class TestFront:
    def test_over_three_measures_a_point_need_be_best_in_a_mixture_only(self):
        small = _point("small", RUN, accuracy=0.5, size_bytes=1, macs=9)
        fast = _point("fast", RUN, accuracy=0.5, size_bytes=9, macs=1)
        beaten = _point("beaten", RUN, accuracy=0.5, size_bytes=9, macs=2)
        unmeasured = _point("unmeasured", RUN, accuracy=0.9, size_bytes=1)
        points = [beaten, fast, unmeasured, small]
        three = [KNOWN["size_bytes"], KNOWN["accuracy"], KNOWN["macs"]]
        assert [p.variant.name for p in front(points, three)] == ["small", "fast"]
        assert [p.variant.name for p in front([beaten, fast, small], three[:2])] == ["small"]
        assert front([], three) == []

    def test_each_run_may_have_its_own(self):
        other = replace(RUN, id="other")
        good, bad = _point("good", RUN, accuracy=0.9, macs=1), _point("bad", other, accuracy=0.1, macs=2)
        axes = Axes(x=KNOWN["macs"], y=KNOWN["accuracy"])
        assert fronts([good, bad], axes) == [[good]]
        assert fronts([good, bad], replace(axes, fronts=True)) == [[good], [bad]]

    @pytest.mark.parametrize("style", tradeoff_link.STYLES)
    def test_a_third_measure_is_drawn_and_no_text_becomes_html(self, style):
        points = [
            _point(XSS, replace(RUN, name=XSS), accuracy=0.1 * i, macs=i, params=i) for i in range(1, 4)
        ]
        axes = Axes(x=KNOWN["macs"], y=KNOWN["accuracy"], z=KNOWN["params"], style=style, log=True)
        drawn = trade_off(points, axes, chosen=points[0].key, compared=[points[1].key])
        (markers,) = (trace for trace in drawn.data if trace.customdata is not None)
        shown = [*markers.text, *markers.hovertext]
        assert len(shown) == 6
        assert all(html.escape(XSS) in text and XSS not in text for text in shown)
        assert (markers.type == "scatter3d") == (style == "3d")


class TestLink:
    def test_what_is_written_is_read_again(self):
        view = View(
            runs=("a", "b"), x="macs", z="params", style="3d", log=True, machine=PI, variant="a/1-int8",
            compared=("b/0-train", "a/1-int8"), section="answers", fronts=True,
        )  # fmt: skip
        parameters = parse_qs(tradeoff_link.to_text(view))
        assert tradeoff_link.from_parameters(parameters) == (view, [])
        assert tradeoff_link.from_parameters({}) == (View(), [])

    @pytest.mark.parametrize(
        ("parameters", "word"),
        [
            ({"show": ["everything"]}, "show=everything is not known. It can be variant"),
            ({"as": ["<b>"]}, "as=<b>"),
            ({"x": ["x" * 401]}, "x is longer"),
            ({"variant": ["a\x00b"]}, "cannot be printed"),
            ({"with": [str(i) for i in range(7)]}, "with is given 7 times; 6 can be shown"),
            ({"run": [str(i) for i in range(101)]}, "run is given 101 times"),
        ],
    )
    def test_what_cannot_be_is_said_and_left_out(self, parameters, word):
        view, problems = tradeoff_link.from_parameters(parameters)
        assert len(problems) == 1
        assert word in problems[0]
        assert len(view.compared) <= 6
        assert len(view.runs) <= 100
        assert replace(view, compared=(), runs=()) == View()

    def test_what_does_not_exist_is_said_and_left_out(self):
        view, problems = tradeoff_link.known_only(
            View(x="nosuch", compared=("a", "b")), measures=["accuracy"], machines=[], variants=["b"]
        )
        assert view == View(compared=("b",))
        assert [problem.partition(" ")[0] for problem in problems] == ["x=nosuch", "with=a"]


class TestSideBySide:
    def test_without_a_choice_it_is_the_baseline_and_the_variant(self, opened):
        points = tradeoffs.points(opened, [finished_run(opened.store).id])
        assert [p.variant.name for p in compared.chosen(points, [], points[3])] == ["0-train", "3-int8"]
        assert compared.chosen(points, [], points[0]) == [points[0]]
        assert compared.chosen(points, [points[1].key], points[3]) == [points[1], points[3]]
        assert compared.chosen(points, [points[2].key, points[1].key], points[3]) == [points[2], points[1]]

    def test_differences_are_from_the_first(self, opened):
        points = tradeoffs.points(opened, [finished_run(opened.store).id])
        accuracy, size = compared.lines([points[0], points[3]])[:2]
        assert [figure.text for figure in accuracy.figures] == ["97.80 %", "96.90 %"]
        assert (accuracy.figures[1].change, accuracy.figures[1].verdict) == ("−0.90 points", "worse")
        assert (size.figures[1].change, size.figures[1].verdict) == ("−217 kB, −87.5 %", "better")
        assert size.figures[0].change == ""

    def test_names_are_as_short_as_they_can_be(self):
        one, two = _point("v", RUN), _point("v", replace(RUN, id="r2"))
        assert compared.short_titles([one]) == ["v"]
        assert compared.short_titles([one, two]) == ["n v (r)", "n v (r2)"]


class TestAnswers:
    def test_confusion_and_figures_of_each_class_agree_with_a_count(self, opened, answered):
        kept = answers.kept(opened, answered[1])
        found = answers.confusion(kept)
        assert found.whole
        assert found.counts.sum() == len(kept.top)
        assert np.trace(found.counts) == len(kept.top) - 8
        for index, row in enumerate(answers.per_class(kept)):
            right = found.counts[index, index]
            precision, recall = right / found.counts[:, index].sum(), right / found.counts[index].sum()
            assert row.precision == pytest.approx(precision)
            assert row.recall == pytest.approx(recall)
            assert row.f1 == pytest.approx(2 * precision * recall / (precision + recall))

    def test_of_many_classes_those_with_errors_are_shown(self):
        labels = tuple(f"c{i}" for i in range(100))
        truth = np.arange(100, dtype=np.uint16)
        top = truth.copy()
        top[70] = 71
        kept = Predictions(top=top, scores=np.ones(100, np.float16), truth=truth, labels=labels)
        found = answers.confusion(kept)
        assert not found.whole
        assert {"c70", "c71"} <= set(found.labels)
        assert len(found.labels) == answers.MOST_CLASSES
        assert found.errors == [("c70", "c71", 1)]
        assert np.isnan(answers.per_class(kept)[70].precision)

    def test_images_on_which_two_disagree_come_with_both_answers(self, opened, answered):
        both = tuple(answers.kept(opened, point) for point in answered)
        found = answers.disagreement(*both)
        assert {word: len(indices) for word, indices in found.kinds.items()} == {
            "all": 5, "only the first is right": 5, "only the second is right": 0, "both are wrong": 0,
        }  # fmt: skip
        samples, problem = answers.samples(opened, answered[0], both, found.kinds["all"])
        assert problem == ""
        assert [sample.index for sample in samples] == [3, 4, 5, 6, 7]
        assert all(sample.png.startswith(b"\x89PNG") for sample in samples)
        assert all(s.answers[0] == s.truth != s.answers[1] for s in samples)

    def test_other_images_are_not_compared(self, opened, answered):
        kept = answers.kept(opened, answered[0])
        less = Predictions(top=kept.top[1:], scores=kept.scores[1:], truth=kept.truth[1:], labels=kept.labels)
        assert answers.are_comparable((answered[0], kept), (answered[1], kept))
        assert not answers.are_comparable((answered[0], kept), (answered[1], less))
        fewer = answered[1].run.recipe_yaml.replace("name: digits", "name: digits, test_samples: 300")
        elsewhere = replace(
            answered[1].run, recipe_yaml=fewer.replace("digits\n", "digits\n  test_samples: 300\n")
        )
        other = tradeoffs.Point(run=elsewhere, variant=answered[1].variant)
        assert not answers.are_comparable((answered[0], kept), (other, kept))

    def test_data_that_are_others_now_give_a_sentence_instead_of_pictures(self, opened, answered):
        kept = answers.kept(opened, answered[0])
        turned = Predictions(top=kept.top, scores=kept.scores, truth=kept.truth[::-1], labels=kept.labels)
        samples, problem = answers.samples(opened, answered[0], (turned, turned), np.arange(3))
        assert "has changed since the run" in problem
        assert [sample.png for sample in samples] == [None] * 3


class TestReport:
    def test_it_is_one_file_without_anything_from_outside(self, opened, answered):
        axes = Axes(x=KNOWN["size_bytes"], y=KNOWN["accuracy"])
        run = replace(answered[0].run, name=f"n{XSS}", recipe_yaml=f"# </pre><script>{XSS}")
        points = [tradeoffs.Point(run=run, variant=point.variant) for point in answered]
        text = report.html_report(opened, points, points, axes, points[1].key).decode()
        assert re.fullmatch(r"slimcast-report-\d{4}-\d\d-\d\d\.html", report.file_name())
        assert text.count("Plotly.newPlot(") >= 3  # the plot and two confusion matrices
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)
        assert XSS not in text
        assert html.escape(XSS) in text
        assert "−0.500 kB" in text or "−500 B, −50.0 %" in text
        assert "Precision" in text

    def test_what_it_lacks_is_said(self, opened, answered):
        assert report.not_in_it(opened, answered) == ""
        bare = replace(answered[0].variant, predictions=None)
        assert "1 of these variants" in report.not_in_it(
            opened, [tradeoffs.Point(run=answered[0].run, variant=bare)]
        )


def test_a_selection_in_the_plot_gives_keys_and_nothing_else_does():
    selection = {
        "selection": {"points": [{"customdata": ["r/1", "text"]}, {"x": 1}, {"customdata": ["r/1"]}]}
    }
    assert picked(selection) == ["r/1"]
    assert picked(None) == []
    assert picked({"selection": {}}) == []


class TestPage:
    def test_the_address_holds_what_is_chosen_and_gives_it_back(self, opened):
        one, two = finished_run(opened.store), finished_run(opened.store)
        test = page(run=[one.id, two.id])
        test.selectbox(key="tradeoff-x").set_value("macs").run()
        test.selectbox(key="tradeoff-z").set_value("params").run()
        test.multiselect(key="tradeoff-compared").set_value([f"{two.id}/3-int8", f"{one.id}/0-train"]).run()
        assert not test.exception
        assert not test.warning
        written = dict(test.query_params)
        assert written["x"] == "macs"
        assert written["with"] == [f"{two.id}/3-int8", f"{one.id}/0-train"]
        again = page(**written)
        assert again.selectbox(key="tradeoff-z").value == "params"
        assert again.multiselect(key="tradeoff-compared").value == written["with"]
        assert again.multiselect(key="tradeoff-runs").value == [one.id, two.id]

    def test_a_bad_link_gives_a_sentence_and_the_usual_view(self, opened):
        run = finished_run(opened.store)
        test = page(run=["nosuchrun0", XSS], x="nosuch", variant="nosuch", show="nosuch")
        assert not test.exception
        assert "Not all that the link asks for" in texts(test.warning)
        for name in ("run=nosuchrun0", "show=nosuch"):
            assert name in texts(test.code)
        assert test.multiselect(key="tradeoff-runs").value == [run.id]
        assert test.selectbox(key="tradeoff-x").value == "size_bytes"
        assert XSS not in texts(test.markdown)
        test.selectbox(key="tradeoff-x").set_value("macs").run()
        assert not test.warning

    def test_a_variant_may_be_named_without_its_run(self, opened):
        run = finished_run(opened.store)
        assert (
            page(run=run.id, variant="1-prune").selectbox(key="tradeoff-variant").value == f"{run.id}/1-prune"
        )

    def test_side_by_side(self, opened):
        run = finished_run(opened.store)
        test = page(run=run.id, show="compare")
        table = test.dataframe[0].value.set_index("measure")
        assert list(table.columns) == ["0-train", "3-int8"]
        assert table.loc["Size", "3-int8"] == "31.0 kB   −217 kB, −87.5 % (better)"

    def test_variants_side_by_side_without_a_common_label(self, opened):
        run = running_run(opened.store)
        for step, labels in enumerate((LABELS, LABELS, ("cat", "dog", "cow", "hen"))):
            artifact = opened.store.artifacts.put(make_artifact(name=str(step), labels=labels))
            opened.store.save_variant(
                Variant(
                    run_id=run.id, name=f"{step}-train", step=step, step_kind="train", numeric_kind="float32",
                    artifact=artifact, measurements=measurements(0.9, 9_000, 9_000, 1.0),
                )
            )  # fmt: skip
        keys = [f"{run.id}/{step}-train" for step in range(3)]
        said = texts(page(run=run.id, show="compare", **{"with": keys[:2]}).warning)
        assert "no label in common" not in said, said
        said = texts(page(run=run.id, show="compare", **{"with": keys[::2]}).warning)
        assert "have no label in common" in said
        assert "accuracies do not compare" in said

    def test_answers(self, opened, answered):
        test = page(run=answered[0].run.id, show="answers")
        assert not test.exception
        assert "Different answers to 5 of 450 held-out images" in texts(test.caption)
        assert len(test.get("plotly_chart")) == 3
        assert test.dataframe[0].value["images"].sum() == 450
        assert len(test.get("image")) == 5

    def test_answers_that_were_not_kept_are_said(self, opened):
        finished_run(opened.store)
        test = page(show="answers")
        assert not test.exception
        assert "were not kept" in texts(test.info)

    def test_latency_by_machine_leaves_out_what_was_not_measured_there(self, opened, answered):
        test = page(run=answered[0].run.id, x="latency_p50_ms")
        test.selectbox(key="tradeoff-machine").set_value(PI).run()
        assert not test.exception
        assert "1 of 2 variants" in texts(test.caption)
        assert test.query_params["on"] == PI

    @pytest.mark.parametrize("style", tradeoff_link.STYLES)
    def test_a_third_measure(self, opened, style):
        finished_run(opened.store)
        test = page(z="macs", **{"as": style})
        assert not test.exception
        assert not test.warning
        assert test.get("plotly_chart")

    def test_other_runs_bring_their_own_variants(self, opened):
        one, two = finished_run(opened.store), finished_run(opened.store)
        test = page(run=one.id, variant="1-prune")
        test.multiselect(key="tradeoff-runs").set_value([two.id]).run()
        assert not test.exception
        assert test.selectbox(key="tradeoff-variant").value == f"{two.id}/3-int8"


def test_layers_of_a_file_that_is_gone_are_a_sentence(opened, answered):
    gone = replace(answered[0].variant, artifact="0" * 64)
    point = tradeoffs.Point(run=answered[0].run, variant=gone)
    with pytest.raises(Exception, match="is not in") as caught:
        layers.layer_bars(opened, [point], "bits")
    assert type(caught.value).__name__ == "StoreError"
