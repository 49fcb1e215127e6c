"""The artifact that the client's benchmarks run on: a path, or the digits recipe's LeNet-5."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).parents[1] / "examples" / "recipes" / "lenet5-digits-int8.yaml"


def parser(description):
    """Return an argument parser with what all of these benchmarks take."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "model", type=Path, nargs="?", help="an artifact; without it, the digits recipe is run first"
    )
    made.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return made


def artifact(model, folder):
    """Return the path of the artifact to measure."""
    if model is not None:
        return model.resolve()
    print(f"Running {RECIPE.name} for an artifact to measure ...", file=sys.stderr)
    line = [sys.executable, "-m", "slimcast", "run", str(RECIPE), "--out", str(folder), "--json"]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    return Path([v["artifact"] for v in json.loads(done.stdout)["variants"] if v["artifact"]][-1]).resolve()


def show(document, as_json):
    """Print the figures."""
    if as_json:
        print(json.dumps(document))
        return
    for name, value in document.items():
        print(f"{name:<32} {value:.3f}" if isinstance(value, float) else f"{name:<32} {value}")
