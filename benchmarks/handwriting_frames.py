"""Does a model trained on MNIST read ink on paper? LeNet-5, held-out digits, frames of 640x480.

Run: SLIMCAST_DATA_ROOT=... python benchmarks/handwriting_frames.py [--json]

Each held-out digit is drawn by the simulated camera as dark ink on a light, tinted, unevenly lit sheet,
turned by up to 10 degrees, off centre, 30 to 65 % of the frame high, with noise. The artifact's own
rules (`data.frames` of the entry `mnist`) make an input of each frame. For comparison the same digits as they
are in the set, and the same frames with polarity and contrast put right, but no search for the writing.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch

from slimcast.data.load import input_for, load_data
from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.models.build import NetworkSpec, build
from slimcast.recipe import DataSpec
from slimcast.reporting import SilentReporter
from slimcast.settings import Settings
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from slimcast_edge.artifact import ArtifactInfo, NumericKind
from slimcast_edge.bench import describe_machine
from slimcast_edge.camera import open_camera
from slimcast_edge.preprocess import prepare
from slimcast_edge.runtime import open_runtime

SIDE = 32


def trained(arguments):
    """Return the artifact's runtime, the held-out images and their labels."""
    spec = DataSpec(name="mnist", train_samples=arguments.train)
    data = load_data(spec, root=Settings.from_environment().data_root, image_size=SIDE)
    torch.manual_seed(0)
    model = build(NetworkSpec(model="lenet5", classes=10, channels=1, image_size=SIDE))
    fit(model, data, TrainingPlan(epochs=arguments.epochs, batch_size=128), reporter=SilentReporter())
    size = input_for(spec, side=SIDE, channels=1)
    graph = export_onnx(model, size=size, mean=data.mean, std=data.std, classes=10)
    info = ArtifactInfo(
        name="lenet5",
        labels=list(data.labels),
        input=size,
        numeric_kind=NumericKind.FLOAT32,
        opset=graph.opset_import[0].version,
        recipe_hash="",
    )
    return open_runtime(pack(graph, info), threads=1), data.test_images, data.test_labels


def frames(images, labels):
    """Yield each image on paper, as the simulated camera draws it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npz"
        np.savez(path, images=images[..., 0], labels=labels)
        camera = open_camera("synthetic", source=path, fps=0, hold=1, scene="paper")
        for label in labels:
            frame = camera.read()
            assert frame.expected == str(label)
            yield frame.pixels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--train", type=int, default=20_000, help="training images")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--count", type=int, default=2_000, help="held-out digits to draw")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runtime, images, labels = trained(arguments)
    spec = runtime.info.input
    toned = spec.model_copy(update={"frame": spec.frame.model_copy(update={"subject": "all"})})
    few, right, times_ms = labels[: arguments.count], {"frames": 0, "no search": 0}, []
    for frame, label in zip(frames(images[: len(few)], few), few, strict=True):
        start = time.perf_counter()
        ready = prepare(frame, spec)
        times_ms.append((time.perf_counter() - start) * 1e3)
        right["frames"] += int(runtime.run(ready)[0].argmax()) == label
        right["no search"] += int(runtime.run(prepare(frame, toned))[0].argmax()) == label
    shares = {name: count / len(few) for name, count in right.items()}
    shares["as in the set"] = float((runtime.run(images[: len(few)]).argmax(1) == few).mean())
    report = {
        "machine": describe_machine(),
        "digits": len(few),
        "right": shares,
        "prepare_p50_ms": float(np.median(times_ms)),
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"LeNet-5 on {len(few)} held-out digits of MNIST, {report['machine']}")
    for name, share in shares.items():
        print(f"{name:14} {share:7.2%} right")
    print(f"frame to input: {report['prepare_p50_ms']:.2f} ms (median)")


if __name__ == "__main__":
    main()
