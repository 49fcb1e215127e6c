"""How much faster is the int8 artifact? MobileNetV2 at 96², batch 1, one thread, one process.

Run: python benchmarks/compression_speed.py [--json]

The three see the same images, in turns, for several rounds. The lowest median of each counts: on a
busy machine the others only measure who else was running.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch

from slimcast.data.digits import load
from slimcast.data.images import resized
from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.quality import agreement, logits_of
from slimcast.models.build import NetworkSpec, build
from slimcast.quantize.static import StaticPlan, quantize
from slimcast.reporting import SilentReporter
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.bench import describe_machine, measure_latency
from slimcast_edge.runtime import open_runtime

SIDE = 96


def torch_latency(model, images, seconds):
    """Return the p50 in ms of the torch network, one image at a time, already normalised."""
    batches = [images[i : i + 1].contiguous() for i in range(len(images))]
    times = []
    with torch.inference_mode():
        for batch in batches:
            model(batch)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 30:
            start = time.perf_counter()
            model(batches[len(times) % len(batches)])
            times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--epochs", type=float, default=0.5, help="training before the measurement")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    quiet = SilentReporter()
    data = resized(load(Path()), SIDE)
    model = build(NetworkSpec(model="mobilenet_v2", classes=10, channels=1, image_size=SIDE))
    fit(model, data, TrainingPlan(epochs=arguments.epochs, batch_size=64), reporter=quiet)
    size = InputSpec(height=SIDE, width=SIDE, channels=1)
    graph = export_onnx(model, size=size, mean=data.mean, std=data.std, classes=10)
    int8 = quantize(graph, data.train_images, StaticPlan(samples=64), reporter=quiet)
    runtimes = {}
    files = {}
    for name, proto, kind in (
        ("ONNX fp32", graph, NumericKind.FLOAT32),
        ("ONNX int8", int8, NumericKind.INT8),
    ):
        labels = list(data.labels)
        info = ArtifactInfo(name=name, labels=labels, input=size, numeric_kind=kind, opset=17, recipe_hash="")
        files[name] = pack(proto, info)
        runtimes[name] = open_runtime(files[name], threads=1)
    images = data.test_images[:16]
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - data.mean[0]) / data.std[0]
    best = {"torch fp32 eager": float("inf"), "ONNX fp32": float("inf"), "ONNX int8": float("inf")}
    for _ in range(arguments.rounds):
        best["torch fp32 eager"] = min(best["torch fp32 eager"], torch_latency(model, pixels, 0.5))
        for name, runtime in runtimes.items():
            best[name] = min(best[name], measure_latency(runtime, images, seconds=0.5).p50_ms)
    logits = {
        name: logits_of(runtime, data.test_images, reporter=quiet) for name, runtime in runtimes.items()
    }
    report = {
        "machine": describe_machine(),
        "threads": 1,
        "p50_ms": best,
        "bytes": {name: len(content) for name, content in files.items()},
        "int8_against_torch": best["torch fp32 eager"] / best["ONNX int8"],
        "int8_against_onnx_fp32": best["ONNX fp32"] / best["ONNX int8"],
        "agreement": agreement(logits["ONNX fp32"], logits["ONNX int8"]),
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"MobileNetV2 {SIDE}x{SIDE}, batch 1, one thread, {report['machine']}")
    for name, p50 in best.items():
        size_text = f"{len(files[name]) / 1e6:.2f} MB" if name in files else ""
        print(f"{name:18} {p50:8.3f} ms   {best['torch fp32 eager'] / p50:5.1f} x   {size_text}")
    print(f"int8 against fp32 ONNX: {report['int8_against_onnx_fp32']:.1f} x; same answer on "
          f"{report['agreement']:.1%} of {len(data.test_labels)} held-out images")  # fmt: skip


if __name__ == "__main__":
    main()
