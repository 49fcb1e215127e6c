"""The artifact that the client's benchmarks run on: a path, or an int8 MobileNetV2 for images of 96x96."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

RECIPE = """version: 1
name: client-benchmark
model: {name: mobilenet_v2}
data: {name: digits, image_size: 96, test_samples: 100}
steps: [{kind: train, epochs: 0.2}, {kind: quantize}]
"""


def parser(description):
    """Return an argument parser with what all of these benchmarks take."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "model",
        type=Path,
        nargs="?",
        help="an artifact; without it, an int8 MobileNetV2 (96x96) is made first",
    )
    made.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return made


def artifact(model, folder):
    """Return the path of the artifact to measure."""
    if model is not None:
        return model.resolve()
    print("Making an int8 MobileNetV2 to measure ...", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    line = [sys.executable, "-m", "slimcast", "run", str(recipe), "--out", str(folder), "--json"]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    return Path([v["artifact"] for v in json.loads(done.stdout)["variants"] if v["artifact"]][-1]).resolve()


def show(document, as_json):
    """Print the figures."""
    if as_json:
        print(json.dumps(document))
        return
    for name, value in document.items():
        print(f"{name:<32} {value:.3f}" if isinstance(value, float) else f"{name:<32} {value}")
