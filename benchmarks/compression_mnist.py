"""Compress MobileNetV2 on MNIST with the shipped recipe: accuracy and bytes of each variant.

Run: SLIMCAST_DATA_ROOT=... python benchmarks/compression_mnist.py [--json]

The reference to beat: 9.23 MB to 1.9 MB at 98.95 %.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from slimcast_edge.bench import describe_machine

RECIPE = Path(__file__).parents[1] / "examples" / "recipes" / "mobilenet_v2-mnist-int8.yaml"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "slimcast", "run", str(RECIPE), "--out", folder, "--json"]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    variants = json.loads(result.stdout)["variants"]
    if arguments.json:
        print(json.dumps({"machine": describe_machine(), "variants": variants}))
        return
    print(f"{RECIPE.stem}, {describe_machine()}")
    for variant in variants:
        print(
            f"{variant['name']:12} {variant['accuracy']:8.2%} {variant['size_bytes'] / 1e6:8.3f} MB "
            f"{variant['macs'] / 1e6:8.2f} M MACs {variant['latency_ms']['p50']:8.3f} ms"
        )


if __name__ == "__main__":
    main()
