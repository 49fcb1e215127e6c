"""Compress: the dial, presets, forms and estimates over the whole catalog; the page as Streamlit runs it."""

import re
import socket
import time

import pytest
from streamlit.testing.v1 import AppTest

from slimcast.catalog import DATA, MODELS, QUANTIZERS, STEPS
from slimcast.catalog.network_costs import known_cost
from slimcast.recipe import parse_recipe
from slimcast.records import EventKind, RunState
from slimcast_web.components.estimate_view import time_note
from slimcast_web.services import compress, dial, durations, forms, presets, recipe_text
from slimcast_web.services.compress import Draft, yaml_of
from slimcast_web.services.estimate import estimate
from slimcast_web.services.forms import FieldKind
from support_wait import PATIENCE
from support_web import finished_run

NETWORKS = [*MODELS.names(), "timm:resnet18"]
HOSTILE = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) **b** $x$ :red[y]"


class TestDial:
    @pytest.mark.parametrize("model", NETWORKS)
    def test_every_stop_is_a_valid_recipe_for_every_network_and_data_set(self, model):
        for data in DATA.names():
            for level in dial.LEVELS:
                recipe = dial.recipe_for(model, data, level, path="uploads/pets")
                assert bool(recipe.data.path) == DATA[data].needs_path
                assert recipe.steps[-1].kind == "quantize"
                assert any(step.kind == "prune" for step in recipe.steps) == (level.keep_macs < 100)

    def test_each_stop_removes_more_than_the_one_before(self):
        kept = [level.keep_macs for level in dial.LEVELS]
        assert kept == sorted(kept, reverse=True)
        assert len({level.title for level in dial.LEVELS}) == len(dial.LEVELS)

    @pytest.mark.parametrize("level", dial.LEVELS, ids=lambda level: str(level.number))
    @pytest.mark.parametrize("weights", ["none", "run:abc"])
    def test_what_it_wrote_is_known_again_under_any_name(self, level, weights):
        text = yaml_of(dial.recommended("resnet20", "cifar10", level=level, weights=weights))
        assert dial.level_of(text.replace("name: resnet20-cifar10", "name: mine-", 1)) == level
        assert dial.level_of(text.replace("kind: quantize", "kind: quantize, equalize: true")) is None

    def test_weights_of_a_run_are_not_trained_again_and_others_shortly(self):
        kinds = {
            weights: [
                step.kind
                for step in dial.recipe_for("resnet18", "cifar10", dial.FIRST, weights=weights).steps
            ]
            for weights in ("none", "imagenet", "run:abc")
        }
        assert kinds["none"][0] == kinds["imagenet"][0] == "train"
        assert kinds["run:abc"][0] == "prune"
        assert dial.training_for("digits", "imagenet").first < dial.training_for("digits").first

    def test_a_new_subject_keeps_steps_of_ones_own(self):
        own = yaml_of(Draft()).replace("batch_size: 32", "batch_size: 33")
        moved = parse_recipe(dial.for_subject(own, model="resnet20", data="cifar10"))
        assert moved.steps == parse_recipe(own).steps
        assert (moved.model.name, moved.data.name) == ("resnet20", "cifar10")
        assert moved.name.startswith("resnet20-cifar10")

    def test_a_new_subject_of_the_dials_own_recipe_is_written_anew(self):
        text = yaml_of(dial.recommended("lenet5", "digits", level=dial.LEVELS[4]))
        moved = dial.for_subject(text, model="resnet20", data="cifar10")
        assert dial.level_of(moved) == dial.LEVELS[4]
        assert parse_recipe(moved) == dial.recipe_for("resnet20", "cifar10", dial.LEVELS[4])

    def test_text_that_is_no_recipe_is_left_alone(self):
        assert dial.for_subject("a: [", model="lenet5", data="digits") == "a: ["


class TestPresets:
    @pytest.mark.parametrize("preset", presets.PRESETS, ids=lambda preset: preset.name)
    def test_a_method_is_a_valid_recipe_for_every_network_and_says_what_it_follows(self, preset):
        assert "19" in preset.follows or "20" in preset.follows
        for model in ("lenet5", "resnet20", "timm:resnet18"):
            for data in ("digits", "cifar10", "folder"):
                for weights in ("none", "run:abc"):
                    text = presets.text_of(preset, model, data, path="pets", weights=weights)
                    assert compress.problems(text) == []

    def test_every_example_can_run(self):
        assert presets.examples(), "no recipe comes with Slimcast"
        for example in presets.examples():
            assert compress.problems(example.text) == []


class TestForms:
    @pytest.mark.parametrize("kind", STEPS.names())
    def test_every_field_of_every_step_has_a_widget_that_can_show_its_default(self, kind):
        methods = QUANTIZERS.names() if kind == "quantize" else [""]
        for method in methods:
            fields = forms.fields_of(kind, method)
            names = {field.path.partition(".")[0] for field in fields}
            config = QUANTIZERS[method].load() if method else STEPS[kind].load()
            assert names == set(config.model_fields) - {"kind"}
            for field in fields:
                assert field.title
                assert forms.fits(field, field.default), field

    def test_a_choice_of_the_catalog_offers_all_of_it(self):
        method = next(field for field in forms.fields_of("quantize") if field.path == "method")
        assert list(method.options) == QUANTIZERS.names()

    def test_limits_come_from_the_type(self):
        rounds = next(field for field in forms.fields_of("prune") if field.path == "rounds")
        assert (rounds.kind, rounds.lowest, rounds.highest) == (FieldKind.WHOLE, 1, 50)
        assert not forms.fits(rounds, 99)
        assert not forms.fits(rounds, "many")

    @pytest.mark.parametrize("value", [[0.1, "a*"], {"layer1.*": 0.5}, 3, "text", None, 0.25])
    def test_what_is_typed_as_yaml_comes_back(self, value):
        assert forms.from_yaml(forms.to_yaml(value)) == value


class TestText:
    def test_a_field_is_put_and_taken_away_with_what_it_leaves_empty(self):
        document = {"steps": [{"kind": "finetune"}]}
        with_teacher = recipe_text.put(document, "steps.0.distill.teacher", "baseline")
        assert with_teacher["steps"][0]["distill"] == {"teacher": "baseline"}
        assert recipe_text.put(with_teacher, "steps.0.distill.teacher", None) == document
        assert document == {"steps": [{"kind": "finetune"}]}

    @pytest.mark.parametrize("kind", STEPS.names())
    def test_an_added_step_stands_where_it_may_and_needs_no_field_more(self, kind):
        document = recipe_text.read(yaml_of(Draft())) or {}
        added = recipe_text.add_step(
            recipe_text.remove_step(document, 3) if kind == "quantize" else document, kind
        )
        assert compress.problems(recipe_text.write(added)) == []

    def test_steps_move_and_go(self):
        document = {"steps": [{"kind": "train"}, {"kind": "prune"}]}
        assert recipe_text.step_kinds(recipe_text.move_step(document, 0, 1)) == ["prune", "train"]
        assert recipe_text.move_step(document, 0, -1) == document
        assert recipe_text.step_kinds(recipe_text.remove_step(document, 0)) == ["prune"]

    @pytest.mark.parametrize("example", presets.examples(), ids=lambda example: example.name)
    def test_what_is_written_is_the_same_recipe(self, example):
        written = recipe_text.write(recipe_text.read(example.text) or {})
        assert parse_recipe(written) == parse_recipe(example.text)

    @pytest.mark.parametrize("text", ["", "a: [", "- 1", "x", "[" * 5000, "a: &a [*a]", "a: &a [x]\nb: *a"])
    def test_what_is_no_mapping_does_no_harm(self, text):
        document = recipe_text.read(text)
        assert document is None or recipe_text.step_kinds(document) == []


class TestEstimate:
    def test_the_costs_are_those_that_were_measured(self):
        known = known_cost("resnet20", image_size=32, channels=3, classes=10)
        assert known is not None
        assert round(known.macs / 1e6, 1) == 40.8  # as examples/recipes/resnet20-cifar10.yaml measured them
        assert known.exact
        lenet = known_cost("lenet5", image_size=32, channels=1, classes=10)
        assert lenet is not None
        assert lenet.params == 61_706

    @pytest.mark.parametrize("model", MODELS.names())
    def test_every_network_of_the_catalog_is_known(self, model):
        found = estimate(dial.recipe_for(model, "cifar100", dial.FIRST))
        assert found is not None
        assert found.after.macs == pytest.approx(0.4 * found.before.macs)
        assert found.after.size_bytes == pytest.approx(0.1 * found.before.size_bytes)

    def test_an_unknown_network_is_not_guessed(self):
        assert estimate(dial.recipe_for("timm:resnet18", "cifar10", dial.FIRST)) is None

    @pytest.mark.parametrize(
        ("step", "size"),
        [
            ("{kind: quantize}", 1.0),
            ("{kind: quantize, method: binary}", 1 / 8),
            ("{kind: quantize, method: weight_only, weights: int2}", 0.25),
            ("{kind: prune, target: {channels: 0.5}}", 1.0),
            ("{kind: prune, target: {params: 30853}}", 2.0),
            ("{kind: factorize}", None),
            ("{kind: netadapt, target: {latency_ms: 8}}", None),
            ("{kind: quantize, method: dynamic}", None),
        ],
    )
    def test_each_step_is_judged_by_its_own_figures(self, step, size):
        text = f"name: x\nmodel: {{name: lenet5}}\ndata: {{name: mnist}}\nsteps: [{step}]\n"
        found = estimate(parse_recipe(text))
        assert found is not None
        expected = None if size is None else pytest.approx(size * 61_706)
        assert found.after.size_bytes == expected


class TestDuration:
    def _earlier(self, opened, seconds: float = 30.0) -> None:
        run = opened.store.create_run(parse_recipe(yaml_of(Draft())))
        opened.store.claim(run.id, f"{socket.gethostname()}:1")
        events, at = [], time.time() - 1000
        for index, kind in enumerate(("train", "prune", "finetune", "quantize")):
            for status in ("started", "finished"):
                events.append((at, EventKind.STEP, {"index": index, "kind": kind, "status": status}))
                at += seconds if status == "started" else 0
        opened.store.add_events(run.id, events)
        opened.store.finish(run.id, RunState.SUCCEEDED)

    def test_without_an_earlier_run_nothing_is_said(self, opened):
        assert durations.expected(opened, parse_recipe(yaml_of(Draft()))) is None
        assert "No earlier run" in time_note(None)

    def test_the_same_recipe_takes_as_long_as_it_did(self, opened):
        self._earlier(opened)
        found = durations.expected(opened, parse_recipe(yaml_of(Draft())))
        assert found is not None
        assert found.seconds == pytest.approx(120)
        assert time_note(found) == "from 1 earlier run on this machine"

    def test_a_step_that_none_has_done_is_named(self, opened):
        self._earlier(opened)
        found = durations.expected(opened, parse_recipe(yaml_of(Draft(quantize="binary"))))
        assert found is not None
        assert found.unknown == ("quantize (binary)",)

    def test_other_networks_data_and_machines_tell_nothing(self, opened):
        self._earlier(opened)
        assert durations.expected(opened, parse_recipe(yaml_of(Draft(model="resnet20")))) is None
        assert durations.expected(opened, parse_recipe(yaml_of(Draft(data="mnist")))) is None
        finished_run(opened.store, Draft(data="mnist"))  # by a worker named "test", no machine of ours
        assert durations.expected(opened, parse_recipe(yaml_of(Draft(data="mnist")))) is None


TWO_PAGES = """
import streamlit as st
from slimcast_web.components import navigation
from slimcast_web.pages import compress, runs

pages = {
    "compress": st.Page(compress.show, title="Compress", url_path="compress", default=True),
    "runs": st.Page(runs.show, title="Runs", url_path="runs"),
}
navigation.register(pages)
st.navigation(list(pages.values())).run()
"""


def page(**state: object) -> AppTest:
    test = AppTest.from_string(
        "from slimcast_web.pages import compress\ncompress.show()", default_timeout=60 * PATIENCE
    )
    for key, value in {f"recipe-step-{index}": True for index in range(4)}.items():
        test.session_state[key] = value
    for key, value in state.items():
        test.session_state[key] = value
    return test.run()


def recipe_of(test: AppTest) -> str:
    return str(test.text_area(key="recipe-yaml").value)


def shown(elements) -> str:
    return "\n".join(str(element.value) for element in elements)


class TestPage:
    def test_the_dial_writes_the_recipe(self, opened):
        test = page()
        test.radio(key="subject-dial").set_value("Same shape, int8").run()
        assert "prune" not in recipe_of(test)
        test.radio(key="subject-dial").set_value("Small").run()
        assert "macs: 0.25" in recipe_of(test)
        assert "A quarter of the arithmetic" in shown(test.caption)

    def test_another_network_gets_what_suits_it(self, opened):
        test = page()
        test.selectbox(key="subject-data").set_value("mnist").run()
        test.selectbox(key="subject-model").set_value("resnet20").run()
        assert parse_recipe(recipe_of(test)) == dial.recipe_for("resnet20", "mnist", dial.FIRST)

    def test_a_form_changes_the_text_and_the_text_the_forms(self, opened):
        test = page()
        test.number_input(key="field-steps.1.rounds").set_value(7).run()
        assert "rounds: 7" in recipe_of(test)
        assert test.radio(key="subject-dial").value is None
        test.text_area(key="recipe-yaml").set_value(recipe_of(test).replace("rounds: 7", "rounds: 5")).run()
        assert test.number_input(key="field-steps.1.rounds").value == 5

    def test_a_choice_that_is_the_default_is_left_out(self, opened):
        test = page()
        test.selectbox(key="field-steps.1.scope").set_value("global").run()
        assert "scope: global" in recipe_of(test)
        test.selectbox(key="field-steps.1.scope").set_value("local").run()
        assert "scope" not in recipe_of(test)

    def test_the_measure_of_a_target_is_chosen(self, opened):
        test = page()
        test.selectbox(key="field-steps.1.target-measure").set_value("bytes").run()
        assert "target: {bytes: 0.5}" in recipe_of(test)
        test.number_input(key="field-steps.1.target.bytes").set_value(20_000.0).run()
        assert "target: {bytes: 20000}" in recipe_of(test)

    def test_another_method_shows_its_own_fields(self, opened):
        test = page()
        test.selectbox(key="field-steps.3.method").set_value("binary").run()
        assert test.number_input(key="field-steps.3.epochs").value == 10

    def test_steps_are_added_moved_and_removed(self, opened):
        test = page()
        test.selectbox(key="recipe-add-step").set_value("sparsify").run()
        kinds = [step.kind for step in parse_recipe(recipe_of(test)).steps]
        assert kinds == ["train", "prune", "finetune", "sparsify", "quantize"]
        test.button(key="recipe-step-up-3").click().run()
        test.button(key="recipe-step-remove-1").click().run()
        assert [step.kind for step in parse_recipe(recipe_of(test)).steps] == [
            "train", "sparsify", "finetune", "quantize",
        ]  # fmt: skip

    def test_a_preset_takes_the_network_and_data_that_are_chosen(self, opened):
        test = page(**{"recipe-kept": yaml_of(dial.recommended("resnet20", "cifar10"))})
        test.selectbox(key="preset").set_value("binary").run()
        recipe = parse_recipe(recipe_of(test))
        assert (recipe.model.name, recipe.data.name, recipe.steps[-1].method) == (
            "resnet20",
            "cifar10",
            "binary",
        )
        assert "XNOR-Net" in shown(test.caption)

    def test_each_error_stands_at_its_field_and_it_cannot_start(self, opened):
        wrong = (
            yaml_of(Draft()).replace("rounds: 2", "rounds: 99").replace("{name: lenet5}", "{name: nosuch}")
        )
        test = page(**{"recipe-kept": wrong})
        assert not test.exception
        assert "2 errors" in shown(test.error)
        assert any("at most 50" in caption.value for caption in test.caption)
        assert any("nosuch" in caption.value for caption in test.caption)
        assert shown(test.code) == ""
        assert next(b for b in test.button if b.label == "Start compression").disabled

    @pytest.mark.parametrize(
        "text", ["a: [", "", "3", "steps: 7", "steps: [7, {kind: x}]", "model: []\ndata: 3"]
    )
    def test_text_that_is_no_recipe_is_explained(self, opened, text):
        test = page(**{"recipe-kept": "x: y"})
        test.text_area(key="recipe-yaml").set_value(text).run()
        assert not test.exception
        assert "cannot start" in shown(test.error)

    def test_names_are_never_taken_for_html_or_markdown(self, opened):
        wrong = yaml_of(Draft()).replace("criterion: l2", f"criterion: '{HOSTILE}'")
        test = page(**{"recipe-kept": wrong.replace("{name: digits}", f"{{name: '{HOSTILE}'}}")})
        assert not test.exception
        everything = shown(test.caption) + shown(test.markdown)
        assert not re.search(r"(?<!\\)<img", everything)
        assert "](javascript" not in everything

    def test_the_estimate_is_shown_before_the_start(self, opened):
        test = page()
        metrics = {metric.label: metric.value for metric in test.metric}
        assert metrics["MACs an image"].endswith("k")
        assert metrics["Time"] == "not known"

    def test_start_queues_the_run_and_goes_to_it(self, opened):
        test = AppTest.from_string(TWO_PAGES, default_timeout=60 * PATIENCE).run()
        next(b for b in test.button if b.label == "Start compression").click().run()
        assert not test.exception
        (run,) = opened.store.runs()
        assert run.state is RunState.QUEUED
        assert test.title[0].value == "Runs"
        assert run.name in shown(test.subheader)

    def test_clone_starts_from_the_recipe_of_a_run(self, opened):
        run = finished_run(opened.store, Draft(keep_macs=25))
        test = AppTest.from_string(
            "from slimcast_web.pages import compress\ncompress.show()", default_timeout=60 * PATIENCE
        )
        test.query_params["clone"] = run.id
        test.run()
        assert parse_recipe(recipe_of(test)).hash == run.recipe_hash

    def test_what_was_written_is_there_after_another_page(self, opened):
        test = page()
        test.number_input(key="field-steps.1.rounds").set_value(7).run()
        kept = test.session_state["recipe-kept"]
        assert "rounds: 7" in kept
        assert recipe_of(page(**{"recipe-kept": kept})) == kept
