"""Static int8 and quantization-aware training on the same networks: three networks, three seeds each.

Run: SLIMCAST_DATA_ROOT=... python benchmarks/quantization_qat.py [--epochs 2] [--samples 5000] [--json]

Needs MNIST and CIFAR-10 below the data root. For each network and seed: a short training, then `static` and
`qat` of what it has left, each by the command that a person types; accuracy on all 10 000 test images. 1 000
images are held back for the choice that `qat` makes between its own artifact and the static one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from slimcast_edge.bench import describe_machine

NETWORKS = {
    "lenet5": ("{name: mnist, train_samples: SAMPLES, validation: 1000}", 2),
    "resnet20": ("{name: cifar10, train_samples: SAMPLES, validation: 1000}", 4),
    "mobilenet_v2": ("{name: mnist, image_size: 32, train_samples: SAMPLES, validation: 1000}", 2),
}
"""Data, and how many epochs the float network is trained."""
STEPS = {
    "float": "{kind: train, epochs: TRAIN}",
    "static": "{kind: quantize}",
    "qat": "{kind: quantize, method: qat, epochs: EPOCHS}",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=float, default=2, help="of the training in front of roundings")
    parser.add_argument("--samples", type=int, default=5000, help="training images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {name: [one(name, seed, arguments) for seed in range(arguments.seeds)] for name in NETWORKS}
    if arguments.json:
        print(json.dumps({"machine": describe_machine(), "accuracy": found}))
        return
    print(f"{describe_machine()}; {arguments.samples} training images, qat for {arguments.epochs:g} epochs")
    for name, rows in found.items():
        gains = [row["qat"] - row["static"] for row in rows]
        print(
            f"{name:13}"
            + "".join(f" {way} {statistics.mean(row[way] for row in rows):7.2%}" for way in STEPS)
            + f"   qat - static {100 * statistics.mean(gains):+.2f} points "
            + f"({', '.join(f'{100 * gain:+.2f}' for gain in gains)})"
        )


def one(name, seed, arguments):
    """Return the test accuracy of each way for one network and seed."""
    with tempfile.TemporaryDirectory() as folder:
        run, accuracy = start(name, seed, "float", "none", arguments, folder)
        found = {"float": accuracy}
        for way in ("static", "qat"):
            _, found[way] = start(name, seed, way, f"run:{run}", arguments, folder)
        print(name, seed, found, file=sys.stderr, flush=True)
        return found


def start(name, seed, way, weights, arguments, folder):
    """Run one recipe; return its id and the accuracy of what it ends with."""
    data, epochs = NETWORKS[name]
    step = STEPS[way].replace("TRAIN", str(epochs)).replace("EPOCHS", str(arguments.epochs))
    text = (
        f"version: 1\nname: {name}-{way}\nseed: {seed}\nmodel: {{name: {name}, weights: '{weights}'}}\n"
        f"data: {data.replace('SAMPLES', str(arguments.samples))}\nsteps:\n  - {step}\n"
    )
    path = Path(folder) / f"{way}.yaml"
    path.write_text(text, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "slimcast", "run", str(path), "--json"],
        env=os.environ | {"SLIMCAST_HOME": folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    document = json.loads(result.stdout)
    return document["run"], document["variants"][-1]["accuracy"]


if __name__ == "__main__":
    main()
