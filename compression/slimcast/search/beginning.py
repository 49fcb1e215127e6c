"""What trials of a search have in common is done once: equal first steps are taken from an earlier run."""

import time
from collections.abc import Iterable
from dataclasses import replace

from slimcast.errors import RecipeError, RunNotFound
from slimcast.recipe import Recipe, parse_recipe
from slimcast.records import EventKind, Run
from slimcast.store import Store


def take_over_beginning(store: Store, recipe: Recipe, run: Run, earlier: Iterable[str]) -> int:
    """Give a queued run the finished first steps of the earlier run that has most of them in common with it.

    Same network, data, seed and steps mean the same weights, and files are kept by their content: nothing is
    copied but rows. The pipeline finds the steps done and skips them.

    Args:
        store: where the runs are.
        recipe: the recipe of the run.
        run: a queued run with nothing done yet.
        earlier: ids of runs to take from, in any state.

    Returns:
        How many steps are done now.

    Raises:
        RunStateError: the run is not queued any more.
    """
    donor, count = "", 0
    for run_id in earlier:
        common = min(_common_steps(store, recipe, run_id), len(recipe.steps) - 1)  # its end is its own
        if common > count:
            donor, count = run_id, common
    if not count:
        return 0
    for variant in store.variants(donor):
        if variant.step < count:
            store.save_variant(replace(variant, run_id=run.id))
    for checkpoint in store.checkpoints(donor):
        if checkpoint.step < count:
            store.save_checkpoint(replace(checkpoint, run_id=run.id))
    done = "Step 0 is" if count == 1 else f"Steps 0 to {count - 1} are"
    told = {"text": f"{done} the same as in run {donor}, and taken from there.", "level": "info"}
    store.add_events(run.id, [(time.time(), EventKind.LOG, told)])
    return count


def _common_steps(store: Store, recipe: Recipe, run_id: str) -> int:
    """Return how many first steps both recipes share and the other run has finished."""
    try:
        other = parse_recipe(store.run(run_id).recipe_yaml)
    except (RunNotFound, RecipeError):
        return 0  # deleted, or made by another version
    if (other.model, other.data, other.seed) != (recipe.model, recipe.data, recipe.seed):
        return 0
    done = {item.step for item in store.checkpoints(run_id)} & {item.step for item in store.variants(run_id)}
    pairs = zip(recipe.steps, other.steps, strict=False)
    common = 0
    for index, (mine, theirs) in enumerate(pairs):
        if mine != theirs or index not in done:
            break
        common += 1
    return common
