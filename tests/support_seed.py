"""A store as it is after years: many runs with their variants, measurements and events, written in bulk."""

import random
import time

from sqlalchemy import insert

from slimcast.recipe import parse_recipe
from slimcast.store import Store
from slimcast.store import tables as t

RECIPE = """
version: 1
name: seeded
model: {name: lenet5}
data: {name: digits}
steps:
  - {kind: train, epochs: 3}
  - {kind: quantize, method: static}
"""
MEASURES = {
    "accuracy": (0.5, 0.99),
    "size_bytes": (3e4, 3e6),
    "macs": (1e5, 1e8),
    "params": (1e4, 1e6),
    "compressed_bytes": (2e4, 2e6),
    "sparsity": (0.0, 0.9),
    "agreement": (0.9, 1.0),
    "latency_p50_ms": (0.02, 20.0),
    "latency_p90_ms": (0.03, 30.0),
    "peak_rss_mb": (60.0, 200.0),
}
KINDS = ("train", "prune", "finetune", "sparsify", "quantize")
STATES = ("succeeded", "succeeded", "succeeded", "failed", "cancelled")
EVENTS = 200


def seed(store: Store, *, runs: int = 1000, variants: int = 10, seed: int = 0) -> list[str]:
    """Write finished runs with `variants` each, ten measurements to a variant; return their ids."""
    draw = random.Random(seed)
    recipe = parse_recipe(RECIPE)
    ids = [f"{index:010d}" for index in range(runs)]
    now = time.time()
    with store._database.writing() as connection:
        connection.execute(
            insert(t.runs),
            [
                {
                    "id": run_id, "name": f"seeded-{draw.choice('abcdef')}", "recipe_yaml": recipe.to_yaml(),
                    "recipe_hash": recipe.hash, "state": draw.choice(STATES), "created_at": now,
                    "started_at": now, "finished_at": now + 60, "heartbeat_at": now, "progress": 1.0,
                    "activity": "", "error": "", "cancel_requested": False, "worker": "w",
                }
                for run_id in ids
            ],
        )  # fmt: skip
        for run_id in ids:
            _fill(connection, run_id, variants, draw)
    return ids


def _fill(connection, run_id: str, variants: int, draw: random.Random) -> None:
    names = [f"{step}-v" for step in range(variants)]
    connection.execute(
        insert(t.variants),
        [
            {
                "run_id": run_id, "name": name, "step": step, "step_kind": KINDS[step % len(KINDS)],
                "numeric_kind": "int8" if step % 2 else "float32", "artifact": None, "predictions": None,
            }
            for step, name in enumerate(names)
        ],
    )  # fmt: skip
    connection.execute(
        insert(t.measurements),
        [
            {
                "run_id": run_id, "variant": name, "position": position, "name": measure,
                "value": draw.uniform(*bounds), "unit": "", "higher_is_better": measure == "accuracy",
                "n": 360, "spread": 0.0, "machine": "Example CPU" if "latency" in measure else "",
            }
            for name in names
            for position, (measure, bounds) in enumerate(MEASURES.items())
        ],
    )  # fmt: skip
    connection.execute(
        insert(t.events),
        [
            {
                "run_id": run_id, "seq": seq, "at": 0.0, "kind": "point",
                "data": {"series": "train loss", "x": seq / 10, "y": 1 / seq, "step": 0},
            }
            for seq in range(1, EVENTS + 1)
        ],
    )  # fmt: skip
    if draw.random() < 0.3:
        tag = draw.choice(("paper", "talk", "baseline"))
        connection.execute(insert(t.run_tags), [{"run_id": run_id, "tag": tag}])
