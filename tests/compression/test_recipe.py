"""Recipes: what is wrong is said all at once, in plain English, with its place."""

import re
from pathlib import Path

import pytest

from slimcast.catalog import CRITERIA, DATA, MODELS, QUANTIZERS, STEPS
from slimcast.errors import RecipeError
from slimcast.recipe import load_recipe, parse_recipe

GOOD = """
name: lenet5-digits
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 2}
  - {kind: prune, target: {macs: 0.4}}
  - {kind: finetune, distill: {temperature: 2}}
  - {kind: quantize}
"""

KINDS = ", ".join(STEPS.names())
SETS = ", ".join(DATA.names())
NETWORKS = ", ".join(MODELS.names()) + "; or timm:NAME, or package.module:function"
UNKNOWN_CRITERION = f"unknown name 'l9'; known: {', '.join(CRITERIA.names())}"
TARGET_FIELDS = "unknown field; known: channels, macs, params, bytes, latency_ms, numbers"
SHARE_OR_BUDGET = "must be less than 1 (the share that remains) or at least 1000 (a budget), but is 1"
NO_METHOD = f"unknown name 'x'; known: {', '.join(QUANTIZERS.names())}"


def _problems(text: str) -> list[tuple[str, str]]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    return caught.value.problems


def test_good_recipe_keeps_its_hash_through_yaml():
    recipe = parse_recipe(GOOD)
    assert [step.kind for step in recipe.steps] == ["train", "prune", "finetune", "quantize"]
    assert parse_recipe(recipe.to_yaml()) == recipe
    assert parse_recipe(recipe.to_yaml()).hash == recipe.hash


def test_hash_follows_the_meaning_and_not_the_writing():
    assert (
        parse_recipe(GOOD.replace("epochs: 2", "epochs: 2.0, optimizer: adamw")).hash
        == parse_recipe(GOOD).hash
    )
    assert parse_recipe(GOOD.replace("epochs: 2", "epochs: 3")).hash != parse_recipe(GOOD).hash


def test_all_problems_come_at_once_in_the_order_of_the_file():
    problems = _problems("""
version: 2
name: "bad name!"
sed: 1
model: {name: lenet6}
data: {name: digitz, image_size: 4}
steps:
  - {kind: trane}
  - {kind: quantize, method: foo}
  - {kind: prune, criterion: l9, target: {macs: 3}, rounds: 1.5}
  - {kind: finetune, epochs: abc}
""")
    assert [path for path, _ in problems] == [
        "version",
        "name",
        "sed",
        "model.name",
        "data.name",
        "data.image_size",
        "steps.0",
        "steps.1.method",
        "steps.1",
        "steps.2.criterion",
        "steps.2.target.macs",
        "steps.2.rounds",
        "steps.3.epochs",
    ]


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (("name: lenet5}", "name: lenet6}"), "model.name", f"unknown name 'lenet6'; known: {NETWORKS}"),
        (("digits}", "digitz}"), "data.name", f"unknown name 'digitz'; known: {SETS}"),
        (("kind: train", "kind: trane"), "steps.0", f"unknown step 'trane'; known: {KINDS}"),
        (("kind: quantize", "kind: quantize, method: x"), "steps.3.method", NO_METHOD),
        (("{macs: 0.4}", "{macs: 0.4}, criterion: l9"), "steps.1.criterion", UNKNOWN_CRITERION),
        (("macs: 0.4", "macs: 1"), "steps.1.target.macs", SHARE_OR_BUDGET),
        (("macs: 0.4", "mac: 0.4"), "steps.1.target.mac", TARGET_FIELDS),
        (("epochs: 2", "epochs: 0"), "steps.0.epochs", "must be more than 0, but is 0"),
        (("epochs: 2", "epochs: many"), "steps.0.epochs", "must be a number, but is 'many'"),
        (
            ("temperature: 2", "temp: 2"),
            "steps.2.distill.temp",
            "unknown field; known: teacher, temperature, weight, features, feature_weight",
        ),
        (
            ("temperature: 2", "teacher: mine"),
            "steps.2.distill.teacher",
            "must be 'baseline', 'run:ID' or 'run:ID/VARIANT', but is 'mine'",
        ),
        (
            ("epochs: 2", "distill: {}"),
            "steps.0",
            "a 'train' step makes the baseline and cannot learn from it: name a teacher, run:ID",
        ),
        (
            ("epochs: 2", "augment: {blur: 1}"),
            "steps.0.augment.blur",
            "unknown field; known: shift, flip, erase, mixup",
        ),
        (("epochs: 2", "augment: {erase: 2}"), "steps.0.augment.erase", "must be at most 1, but is 2"),
        (("epochs: 2", "augment: some"), "steps.0.augment", "must be a mapping of fields, but is 'some'"),
        (("model: {name: lenet5}", "model: lenet5"), "model", "must be a mapping of fields, but is 'lenet5'"),
        (("name: lenet5-digits", "seed: 1"), "name", "missing; it has no default"),
        (("{kind: train, epochs: 2}", "train"), "steps.0", "must be a mapping of fields, but is 'train'"),
        (("kind: train, ", ""), "steps.0", f"expected a mapping with a 'kind'; known kinds: {KINDS}"),
    ],
)  # fmt: skip
def test_one_problem(change: tuple[str, str], path: str, message: str):
    text = GOOD.replace(*change)
    assert text != GOOD
    assert (path, message) in _problems(text)


def test_a_wrong_step_is_not_also_a_missing_one():
    assert _problems(GOOD.split("  - ")[0] + "  - {kind: trane}") == [
        ("steps.0", f"unknown step 'trane'; known: {KINDS}")
    ]


def test_no_steps_at_all():
    assert _problems(GOOD.split("steps:")[0] + "steps: []") == [("steps", "must have at least one step")]


def test_quantize_comes_last():
    problems = _problems(GOOD + "  - {kind: train}\n")
    assert problems == [("steps.3", "'quantize' makes the final artifact: no step can follow it")]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("a: [", "line 1, column 5", "expected the node content"),
        ("- 1", "", "expected a mapping"),
        ("", "", "expected a mapping"),
        ("a: \x00", "", "no YAML"),
        ("[" * 5000, "", "nested too deeply"),
        ("!!python/object/apply:os.system ['true']", "line 1, column 1", "could not determine a constructor"),
    ],
)
def test_text_that_is_no_recipe(text: str, path: str, message: str):
    [(found_path, found_message)] = _problems(text)
    assert found_path == path
    assert message in found_message


def test_file_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"cannot read .*nothing\.yaml"):
        load_recipe(tmp_path / "nothing.yaml")


def _step(text: str):
    return parse_recipe(GOOD.replace("epochs: 2", text)).steps[0]


def test_augmentation_is_on_off_or_chosen():
    assert _step("augment: true") == _step("batch_size: 128")
    off = _step("augment: false").augment
    assert (off.shift, off.flip, off.erase, off.mixup) == (False, False, 0, 0)
    chosen = _step("augment: {erase: 0.25}").augment
    assert (chosen.shift, chosen.flip, chosen.erase) == (True, None, 0.25)
    assert "augment" in parse_recipe(GOOD.replace("epochs: 2", "augment: false")).to_yaml()


def test_auto_is_the_default_of_how_training_computes():
    assert _step("precision: auto, channels_last: auto") == _step("batch_size: 128")
    assert _step("channels_last: false").channels_last is False


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ("{name: folder}", "data.path", "missing; 'folder' needs the folder"),
        ("{name: digits, path: x}", "data.path", "has a place of its own"),
        (
            "{name: digits, train_samples: 0}",
            "data.train_samples",
            "be a count .* or a share .* but is 0",
        ),
        ("{name: digits, test_samples: 1.5}", "data.test_samples", "but is 1.5"),
        ("{name: digits, validation: true}", "data.validation", "but is True"),
        ("{name: digits, channels: 2}", "data.channels", "must be 1 or 3"),
        ("{name: digits, mean: [0.5]}", "data.std", "mean and std go together"),
        ("{name: digits, mean: [0.5, 0.5], std: [1, 1]}", "data.mean", "must have 1 or 3 values"),
        ("{name: digits, mean: [0.5], std: [1, 1, 1]}", "data.std", "as many values as mean"),
        ("{name: digits, channels: 3, mean: [0.5], std: [1]}", "data.mean", "must have 3 values"),
        ("{name: digits, mean: [3], std: [0]}", "data.mean.0", "at most 1"),
    ],
)
def test_data_that_cannot_be_are_said_before_anything_runs(data, path, message):
    problems = dict(_problems(GOOD.replace("{name: digits}", data)))
    assert re.search(message, problems[path])


def test_counts_and_shares_survive_yaml():
    data = "{name: digits, train_samples: 0.5, test_samples: 100, validation: 0.1, mean: [0.3], std: [0.4]}"
    recipe = parse_recipe(GOOD.replace("{name: digits}", data))
    assert (recipe.data.train_samples, recipe.data.test_samples) == (0.5, 100)
    assert parse_recipe(recipe.to_yaml()) == recipe
