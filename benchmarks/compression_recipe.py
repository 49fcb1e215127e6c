"""Run a shipped recipe and print what each of its variants keeps and costs.

Run: SLIMCAST_DATA_ROOT=... python benchmarks/compression_recipe.py [NAME] [--json]

NAME is a file of examples/recipes without its ending; mobilenet_v2-mnist-int8 by default (the reference to
beat: 9.23 MB to 1.9 MB at 98.95 %). Each recipe's header says what was seen.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from slimcast_edge.bench import describe_machine

RECIPES = Path(__file__).parents[1] / "examples" / "recipes"


def main():
    names = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=names, default="mobilenet_v2-mnist-int8")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    recipe = RECIPES / f"{arguments.name}.yaml"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "slimcast", "run", str(recipe), "--out", folder, "--json"]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    variants = json.loads(result.stdout)["variants"]
    if arguments.json:
        print(json.dumps({"machine": describe_machine(), "variants": variants}))
        return
    print(f"{recipe.stem}, {describe_machine()}")
    for variant in variants:
        print(
            f"{variant['name']:12} {variant['accuracy']:8.2%} {variant['size_bytes'] / 1e6:8.3f} MB "
            f"{variant['macs'] / 1e6:8.2f} M MACs {variant['latency_ms']['p50']:8.3f} ms"
        )


if __name__ == "__main__":
    main()
