"""How much of a run is not training or evaluation batches: a whole `slimcast run` of about a minute.

Run: python benchmarks/engine_overhead.py [--epochs 16] [--json]

ResNet-20 on scikit-learn's digits (nothing to download): train, prune, fine-tune, int8. The run itself says
what it spent its time on (the table `time` of a run). The whole is from the claim of the run to its end; so
importing PyTorch counts as overhead, and so do export, golden samples, the fresh process that measures
latency and memory after each step (half a second of measuring each time), and saving.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

from slimcast.settings import Settings
from slimcast.store import Store
from slimcast.timing import BATCHES
from slimcast_edge.bench import describe_machine

RECIPE = """version: 1
name: overhead
model: {{name: resnet20}}
data: {{name: digits, image_size: 32}}
steps:
  - {{kind: train, epochs: {epochs}, batch_size: 64}}
  - {{kind: prune, target: {{macs: 0.5}}}}
  - {{kind: finetune, epochs: {tune}, batch_size: 64}}
  - {{kind: quantize}}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--epochs", type=int, default=16, help="of the training; half of it to fine-tune")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({"SLIMCAST_HOME": folder})
        run, rows = measure(settings, RECIPE.format(epochs=arguments.epochs, tune=arguments.epochs // 2))
    seconds = run.finished_at - run.started_at
    batches = next(row[1] for row in rows if row[0] == BATCHES)
    report = {
        "machine": describe_machine(),
        "load_1m": os.getloadavg()[0],
        "run_s": seconds,
        "batches_s": batches,
        "overhead": 1 - batches / seconds,
        "parts_s": {part: time_s for part, time_s, _ in rows},
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"ResNet-20 on digits, {report['machine']}, load {report['load_1m']:.1f}")
    for part, time_s in report["parts_s"].items():
        print(f"  {part:36} {time_s:8.2f} s")
    print(f"  {'before the engine was loaded':36} {seconds - sum(report['parts_s'].values()):8.2f} s")
    print(f"Overhead: {report['overhead']:.1%} of a run of {seconds:.1f} s; aim: at most 5 %")


def measure(settings, recipe):
    """Run a recipe by the command that a person types; return the run and the rows of its table `time`."""
    path = settings.home / "recipe.yaml"
    path.write_text(recipe, encoding="utf-8")
    command = [sys.executable, "-m", "slimcast", "run", str(path), "--json"]
    environment = os.environ | {"SLIMCAST_HOME": str(settings.home)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    store = Store.open(settings)
    try:
        run = store.runs()[0]
        return run, next(table.rows for table in store.tables(run.id) if table.name == "time")
    finally:
        store.close()


if __name__ == "__main__":
    main()
