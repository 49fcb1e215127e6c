"""Stands in for ``python -m slimcast`` in tests of searches: real processes whose pipeline costs nothing.

Its figures follow from the recipe, so that a test knows what the best choice is; the recipe's name is the
search's, and says how the pipeline behaves: `slow...` waits in its last step until somebody cancels it or
puts a file `go` into the home, `broken...` fails, `points...` reports accuracies that never reach a budget.
"""

import sys
import time

from slimcast.errors import StepError
from slimcast.jobs.worker import execute
from slimcast.records import Checkpoint, Measurement, Variant
from slimcast.search.run import run_search
from slimcast.settings import Settings
from slimcast.store import Store

SEARCH = """
version: 1
name: {name}
recipe:
  model: {{name: lenet5}}
  data: {{name: digits}}
  steps:
    - {{kind: train, epochs: 2}}
    - {{kind: prune, target: {{macs: 0.5}}}}
    - {{kind: finetune, epochs: 4}}
    - {{kind: quantize}}
space:
  steps.1.target.macs: {{low: 0.2, high: 0.8}}
  steps.2.learning_rate: {{low: 0.0001, high: 0.01, log: true}}
  steps.3: {{choices: [keep, drop]}}
objectives: [accuracy, size_bytes]
budgets: {{accuracy_drop: 0.05, size_bytes: 100000}}
trials: 6
sampler: random
"""
BASELINE = 0.95


def search_text(name: str = "made-up", **changes: str) -> str:
    """Return a search file; `changes` replace whole top-level lines, such as ``trials="trials: 3"``."""
    lines = SEARCH.format(name=name).splitlines()
    for key, line in changes.items():
        found = [index for index, old in enumerate(lines) if old.startswith(f"{key}:")]
        if found:
            lines[found[0]] = line
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def figures(kept: float, is_int8: bool) -> tuple[float, float]:
    """Return accuracy and bytes of a network of which this share of the MACs is kept."""
    return BASELINE - 0.1 * (1 - kept) ** 2 - (0.002 if is_int8 else 0), 250_000 * kept / (
        4 if is_int8 else 1
    )


def pipeline(recipe, *, run_id, store, settings, reporter) -> list[Variant]:
    done = {checkpoint.step for checkpoint in store.checkpoints(run_id)}
    kept = next((step.target.macs for step in recipe.steps if step.kind == "prune"), 1.0)
    for index, step in enumerate(recipe.steps):
        if index in done:
            reporter.step(index, step.kind, "skipped")
            continue
        reporter.step(index, step.kind, "started")
        if index == len(recipe.steps) - 1:
            _behave(recipe.name, reporter, settings.home)
        accuracy, size = figures(1.0 if index == 0 else kept, step.kind == "quantize")
        store.save_checkpoint(Checkpoint(run_id=run_id, step=index, file=store.artifacts.put(b"weights")))
        store.save_variant(
            Variant(
                run_id=run_id,
                name=f"{index}-{step.kind}",
                step=index,
                step_kind=step.kind,
                numeric_kind="float32",
                artifact=None,
                measurements=(
                    Measurement(name="accuracy", value=accuracy, higher_is_better=True, n=100),
                    Measurement(name="size_bytes", value=size, unit="B", higher_is_better=False),
                ),
            )
        )
        reporter.step(index, step.kind, "finished")
    return store.variants(run_id)


def _behave(name: str, reporter, home) -> None:
    if name.startswith("broken"):
        raise StepError("This step never works.")
    if name.startswith("points"):
        for epoch in range(1, 5):
            reporter.point("test accuracy", float(epoch), 0.30 + 0.001 * epoch, 2)
    if name.startswith(("slow", "points")):
        while not (home / "go").exists():
            reporter.check_cancelled()
            time.sleep(0.05)


def main() -> None:
    settings = Settings.from_environment()
    store = Store.open(settings)
    if "--search-id" in sys.argv:
        search_id = sys.argv[sys.argv.index("--search-id") + 1]
        run_search(search_id, settings=settings, store=store, command=(sys.executable, __file__))
        store.close()
        return
    execute(
        sys.argv[sys.argv.index("--run-id") + 1],
        settings=settings,
        store=store,
        console=False,
        pipeline=pipeline,
    )
    store.close()


if __name__ == "__main__":
    main()
