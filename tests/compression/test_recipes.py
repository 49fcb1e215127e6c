"""Every recipe that we ship is read, and runs with its trainings cut short."""

import os
from pathlib import Path

import pytest

from slimcast.pipeline import run_recipe
from slimcast.recipe import NetAdaptTarget, load_recipe
from slimcast.settings import Settings
from support_engine import MemoryStore, RecordingReporter

# Which numbers and layout are fastest is probed for each network, which takes longer than such a training.
_UNPROBED = {"precision": "float32", "channels_last": False}
SHORT = {
    "train": {"epochs": 0.5, **_UNPROBED},
    "finetune": {"epochs": 0.25, **_UNPROBED},
    "prune": {"rounds": 1, "finetune_epochs": 0, "norm_batches": 2, "criterion_images": 64},
    # Counted rather than measured: a table of latencies would be made anew for each test.
    "netadapt": {
        "target": NetAdaptTarget(macs=0.9),
        "iterations": 1,
        "short_finetune_batches": 1,
        "finetune_epochs": 0.1,
        "choice_images": 50,
    },
    "quantize": {"calibration_samples": 16, "epochs": 0.1, "images": 32},
}
FOLDERS = {"mnist": "MNIST/raw", "cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
RECIPES = sorted((Path(__file__).parents[2] / "examples" / "recipes").rglob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid_and_says_how_to_run_it(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert path.read_text().startswith("#")
    assert f"slimcast run examples/recipes/{path.name}" in path.read_text()


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_runs(path, tmp_path):
    recipe = load_recipe(path)
    root = os.environ.get("SLIMCAST_DATA_ROOT", "")
    folder = FOLDERS.get(recipe.data.name, "")
    if not (Path(root) / folder).is_dir():
        pytest.skip(f"SLIMCAST_DATA_ROOT names no folder with {folder}")
    steps = [step.model_copy(update=_known(SHORT[step.kind], step)) for step in recipe.steps]
    few = {"train_samples": 256, "test_samples": 100, "validation": recipe.data.validation and 64}
    data = recipe.data.model_copy(update=few)
    model = recipe.model.model_copy(update={"weights": "none"})  # files and downloads are not for a test
    recipe = recipe.model_copy(update={"steps": tuple(steps), "data": data, "model": model})
    variants = run_recipe(
        recipe,
        run_id="smoke",
        store=MemoryStore(tmp_path),
        settings=Settings.from_environment({"SLIMCAST_HOME": str(tmp_path), "SLIMCAST_DATA_ROOT": root}),
        reporter=RecordingReporter(),
    )
    assert len(variants) == len(recipe.steps)
    assert (variants[-1].numeric_kind != "float32") == (recipe.steps[-1].kind == "quantize")


def _known(shorter, step):
    return {name: value for name, value in shorter.items() if name in type(step).model_fields}
