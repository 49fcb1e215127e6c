"""Search files: what they mean, what can be wrong with them, and what is drawn from them."""

from pathlib import Path

import numpy as np
import optuna
import pytest

from slimcast.errors import SearchError
from slimcast.measure.files import FileFacts
from slimcast.measure.fresh import FreshRun
from slimcast.measure.report import Quality, measurements
from slimcast.search import load_search, parse_search
from slimcast.search.document import Range
from slimcast.search.measures import ACCURACY_DROP, MEASURES, TEST_ACCURACY
from slimcast.search.space import applied, corners, draw, recipe_of
from slimcast.search.study import SeededSampler
from slimcast_edge.bench import Latency
from support_search import search_text

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "searches").rglob("*.yaml"))
PRUNE = "steps.1.target.macs: {low: 0.2, high: 0.8}"


def _problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(SearchError) as caught:
        parse_search(text)
    return caught.value.problems


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_shipped_search_is_valid_and_says_how_to_run_it(path: Path):
    assert load_search(path).name == path.stem
    assert f"slimcast search examples/searches/{path.name}" in path.read_text()


def test_it_keeps_its_hash_through_yaml_and_whatever_the_effort():
    search = parse_search(search_text())
    assert parse_search(search.to_yaml()) == search
    more = parse_search(search_text(trials="trials: 60", workers="workers: 3"))
    assert more.hash == search.hash
    assert parse_search(search_text(seed="seed: 1")).hash != search.hash


def test_a_recipe_can_be_named_by_path(tmp_path: Path):
    inline = parse_search(search_text())
    recipe = search_text().split("recipe:")[1].split("space:")[0]
    (tmp_path / "r.yaml").write_text(recipe)
    (tmp_path / "s.yaml").write_text(search_text().replace(f"recipe:{recipe}", "recipe: r.yaml\n"))
    assert load_search(tmp_path / "s.yaml").hash == inline.hash
    (tmp_path / "r.yaml").unlink()
    with pytest.raises(SearchError, match=r"recipe: cannot read .*r\.yaml"):
        load_search(tmp_path / "s.yaml")


def test_all_problems_come_at_once_in_the_order_of_the_file():
    text = search_text(
        objectives="objectives: [acuracy, size_bytes, size_bytes]",
        budgets="budgets: {accuracy_drop: 2, size: 3, macs: -1}",
    )
    text = text.replace(PRUNE, "steps.1.target.macs: {low: 0.8, high: 0.2}\n  steps.9.epochs: {choices: [1]}")
    text = text.replace("[keep, drop]", "[keep, dorp]")
    assert [path for path, _ in _problems(text)] == [
        "space.steps.1.target.macs",
        "space.steps.9.epochs",
        "space.steps.3",
        "objectives.0",
        "objectives",
        "budgets.accuracy_drop",
        "budgets.size",
        "budgets.macs",
    ]


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("trials: 6", "trials: 0", "trials", "must be greater than or equal to 1, but is 0"),
        ("trials: 6", "trails: 6", "trails", "unknown field; known: version, name, recipe, space"),
        ("sampler: random", "sampler: best", "sampler", "must be 'tpe', 'nsga2' or 'random', but is 'best'"),
        ("name: made-up", "name: a b", "name", "must be 1 to 80 of A-Z"),
        ("low: 0.2, high: 0.8", "low: 0.2", "space.steps.1.target.macs.high", "missing"),
        ("high: 0.8", "high: 0.8, hihg: 1", "space.steps.1.target.macs.hihg", "known: low, high, step, log"),
        ("high: 0.8", "high: 0.8, step: 2", "space.steps.1.target.macs", "step must be more than 0"),
        ("low: 0.0001", "low: 0", "space.steps.2.learning_rate", "log needs low above 0"),
        ("[keep, drop]", "[keep, keep]", "space.steps.3", "has a choice twice"),
        ("[keep, drop]", "[]", "space.steps.3.choices", "at least 1 item"),
        ("steps.1.target.macs:", "name:", "space.name", "must begin with model, data, seed or steps"),
        ("steps.1.target.macs:", "model:", "space.model", "must name a field of that part"),
        ("steps.1.target.macs:", "steps.x:", "space.steps.x", "the recipe has 4, counted from 0"),
        (
            "steps.3:",
            "steps.1.target: {choices: [{macs: 0.5}]}\n  steps.3:",
            "space.steps.1.target.macs",
            "lies within steps.1.target, which is varied as well",
        ),
        (
            "high: 0.8",
            "high: 1.5",
            "space.steps.1.target.macs",
            "with 1.5: steps.1.target.macs: must be less",
        ),
        ("{name: lenet5}", "{name: lenet6}", "recipe.model.name", "unknown name 'lenet6'"),
        ("kind: prune", "kind: prone", "recipe.steps.1", "unknown step 'prone'"),
        (
            "{kind: train, epochs: 2}",
            "{kind: finetune}",
            "budgets.accuracy_drop",
            "needs a baseline",
        ),
        ("[accuracy, size_bytes]", "[accuracy_drop]", "objectives.0", "unknown measurement"),
    ],
)
def test_one_problem(old: str, new: str, path: str, message: str):
    text = search_text()
    assert old in text
    found = dict(_problems(text.replace(old, new)))
    assert path in found
    assert message in found[path]


def test_a_path_of_a_recipe_is_refused_where_there_is_no_file():
    recipe = search_text().split("recipe:")[1].split("space:")[0]
    [(path, message)] = _problems(search_text().replace(f"recipe:{recipe}", "recipe: r.yaml\n"))
    assert path == "recipe"
    assert "here the recipe itself must stand" in message


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "[" * 5000, "!!python/object/apply:os.system ['true']"])
def test_text_that_is_no_search(text: str):
    assert len(_problems(text)) == 1


def test_dropping_a_step_renumbers_nothing_for_the_other_paths():
    search = parse_search(search_text(space="space:\n  steps.1: {choices: [keep, drop]}"))
    values = {"steps.1": "drop", "steps.2.learning_rate": 0.003, "steps.3": "keep"}
    recipe = recipe_of(search, values, "x")
    assert [step.kind for step in recipe.steps] == ["train", "finetune", "quantize"]
    assert recipe.steps[1].learning_rate == 0.003


def test_a_step_can_be_replaced_and_parts_made():
    document = {"steps": [{"kind": "train"}, {"kind": "finetune"}]}
    other = {"kind": "quantize"}
    found = applied(document, {"steps.1": other, "model.name": "lenet5", "steps.0.a.b": 1})
    assert found == {"steps": [{"kind": "train", "a": {"b": 1}}, other], "model": {"name": "lenet5"}}
    assert document == {"steps": [{"kind": "train"}, {"kind": "finetune"}]}


def test_what_lies_in_a_dropped_step_is_not_drawn():
    text = search_text(space="space:\n  steps.2: {choices: [drop]}")
    trial = optuna.create_study().ask()
    values = draw(parse_search(text).space, trial)
    assert values["steps.2"] == "drop"
    assert "steps.2.learning_rate" not in values
    assert all("steps.2.learning_rate" not in corner for corner in corners(parse_search(text).space))


@pytest.mark.parametrize(
    ("dimension", "sort"), [(Range(low=1, high=9, step=3), int), (Range(low=0.5, high=9, step=3), float)]
)
def test_a_range_keeps_its_sort_and_its_steps(dimension: Range, sort: type):
    study = optuna.create_study()
    drawn = {draw({"seed": dimension}, study.ask())["seed"] for _ in range(30)}
    assert {type(value) for value in drawn} == {sort}
    assert drawn <= {dimension.low, dimension.low + 3, dimension.low + 6}
    assert dimension.top == dimension.low + 6


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_same_seed_draws_the_same(sampler: str):
    search = parse_search(search_text(sampler=f"sampler: {sampler}"))

    def drawn(count: int) -> list[dict]:
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=SeededSampler(search))
        found = []
        for _ in range(count):
            trial = study.ask()
            found.append(draw(search.space, trial))
            study.tell(trial, [0.9, len(found)])
        return found

    assert drawn(6) == drawn(6)
    assert len({str(values) for values in drawn(6)}) > 1


def test_random_draws_do_not_depend_on_what_was_asked_before():
    search = parse_search(search_text())
    one = optuna.create_study(directions=["maximize", "minimize"], sampler=SeededSampler(search))
    trials = [one.ask() for _ in range(3)]
    late = [draw(search.space, trial) for trial in reversed(trials)][::-1]
    other = optuna.create_study(directions=["maximize", "minimize"], sampler=SeededSampler(search))
    assert late == [draw(search.space, other.ask()) for _ in range(3)]


def test_measures_have_the_direction_of_the_measurements():
    latency = Latency(p50_ms=1, p90_ms=1, p99_ms=1, mean_ms=1, std_ms=0, runs=1)
    found = measurements(
        quality=Quality(accuracy=0.9, agreement=1, images=1),
        parameters=1,
        macs=1,
        facts=FileFacts(size_bytes=1, compressed_bytes=1, sparsity=0),
        integer=(1, 2),
        fresh=FreshRun(logits=np.zeros((1, 2)), latency=latency, peak_rss_mb=1),
        machine="",
    )
    known = {m.name: m.higher_is_better for m in found}
    assert {
        name: m.higher_is_better for name, m in MEASURES.items() if name not in (ACCURACY_DROP, TEST_ACCURACY)
    }.items() <= known.items()
