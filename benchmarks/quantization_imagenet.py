"""Static int8 at 224² against ONNX Runtime's default, NNCF and OpenVINO: accuracy, speed, integer kernels.

Run: python benchmarks/quantization_imagenet.py --images FOLDER [--weights FILE.pth] [--network NAME]
     [--peers PYTHON] [--json]

FOLDER has images/ and labels.csv (file, class_index). Every third image calibrates, the others judge. WEIGHTS
is a state dict with torchvision's names; without it the network is random, and only speed and kernels mean
something. PYTHON is that of an environment with openvino, nncf and onnx; without it these are left out. All
networks take the same images one at a time, one thread, in turns; the lowest median of each counts.
"""

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.measure.files import integer_share
from slimcast.measure.kernels import executed_graph
from slimcast.models.build import NetworkSpec, build
from slimcast.quantize.qdq import _Reader
from slimcast.quantize.runs import logits_of
from slimcast.quantize.static import StaticPlan, quantize
from slimcast.quantize.workspace import Workspace, quiet
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.bench import describe_machine, measure_latency
from slimcast_edge.runtime import open_runtime

SIDE, RESIZE = 224, 256
SIZE = InputSpec(height=SIDE, width=SIDE, channels=3)
PEERS = Path(__file__).with_name("quantization_peers.py")


def main():
    arguments = parse()
    images, labels = load(arguments.images)
    calibrating = np.arange(len(images)) % 3 == 0
    calibration, judged, wanted = images[calibrating], images[~calibrating], labels[~calibrating]
    graph = export(arguments.network, arguments.weights)
    ours = quantize(graph, calibration, StaticPlan(samples=len(calibration)), reporter=SilentReporter())
    graphs = {"float": graph, "slimcast": ours, "ort_default": default_of(graph, calibration)}
    report = {"machine": describe_machine(), "network": arguments.network, "judged": len(judged)}
    answers = {}
    if arguments.peers:
        graphs |= ask_peers(arguments.peers, graph, calibration, judged, answers, report)
    report["p50_ms"] = speeds(graphs, judged, report) | report.get("peers", {}).get("p50_ms", {})
    answers |= {name: logits_of(proto, judged) for name, proto in graphs.items() if name in report["p50_ms"]}
    if arguments.weights:
        report["top1"] = {name: float((a.argmax(1) == wanted).mean()) for name, a in answers.items()}
    report["same_answer_as_float"] = {
        name: float((a.argmax(1) == answers["float"].argmax(1)).mean()) for name, a in answers.items()
    }
    report["integer_layers"] = {
        name: integer_share(executed_graph(proto))
        for name, proto in graphs.items()
        if name in report["p50_ms"]
    }
    report["adds"] = adds(graph, ours)
    show(report, as_json=arguments.json)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--network", default="mobilenet_v2")
    parser.add_argument("--peers", help="a Python with openvino, nncf and onnx")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def load(folder):
    """Return images as torchvision's weights want them, uint8 (N, H, W, C), and their classes, (N,)."""
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = [crop(Image.open(folder / "images" / row["file"]).convert("RGB")) for row in rows]
    return np.stack(images), np.asarray([int(row["class_index"]) for row in rows])


def crop(image):
    scale = RESIZE / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def export(name, weights):
    model = build(NetworkSpec(model=name, classes=1000, channels=3, image_size=SIDE), seed=0)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    if weights:
        state = torch.load(weights, weights_only=True)
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        mean = std = (0.5, 0.5, 0.5)  # of these weights, see the data's README
    return export_onnx(model.eval(), size=SIZE, mean=mean, std=std, classes=1000)


def default_of(graph, calibration):
    """Quantize as ONNX Runtime does by itself: pre-processing, then quantize_static with its defaults."""
    with Workspace() as folder, quiet():
        source = folder.write(graph, "float.onnx")
        quant_pre_process(source, folder.path("prepared.onnx"))
        quantize_static(folder.path("prepared.onnx"), folder.path("int8.onnx"), _Reader(calibration))
        return onnx.load(folder.path("int8.onnx"))


def ask_peers(python, graph, calibration, judged, answers, report):
    """Let the other environment work; return the ONNX files that it leaves, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(graph, folder / "float.onnx")
        np.save(folder / "calibration.npy", calibration)
        np.save(folder / "images.npy", judged)
        subprocess.run([python, PEERS, folder], check=True, stdout=subprocess.DEVNULL)
        report["peers"] = json.loads((folder / "peers.json").read_text())
        for peer in report["peers"]["p50_ms"]:
            answers[peer] = np.load(folder / f"{peer}.npy")
        path = folder / "nncf.onnx"
        return {"nncf_onnx": onnx.load(path)} if path.exists() else {}


def speeds(graphs, images, report, rounds=6):
    """Return the p50 of each graph that ONNX Runtime runs, ms."""
    runtimes = {}
    for name, proto in graphs.items():
        kind = NumericKind.FLOAT32 if name == "float" else NumericKind.INT8
        info = ArtifactInfo(
            name=name, labels=[str(i) for i in range(1000)], input=SIZE, numeric_kind=kind,
            opset=proto.opset_import[0].version, recipe_hash="",
        )  # fmt: skip
        try:
            runtimes[name] = open_runtime(pack(proto, info), threads=1)
            runtimes[name].run(images[:1])
        except Exception as error:  # a peer's file that ONNX Runtime refuses is a result
            runtimes.pop(name, None)
            report[f"{name}_error"] = str(error)[:300]
    best = dict.fromkeys(runtimes, float("inf"))
    for _ in range(rounds):
        for name, runtime in runtimes.items():
            best[name] = min(best[name], measure_latency(runtime, images[:16], seconds=0.4).p50_ms)
    return best


def adds(graph, quantized):
    """Return how many Adds of the network run in integers, and of how many."""
    whole = sum(n.op_type == "Add" and not n.name.startswith("normalise") for n in graph.graph.node)
    return [sum(n.op_type == "QLinearAdd" for n in executed_graph(quantized).graph.node), whole]


def show(report, *, as_json):
    if as_json:
        print(json.dumps(report))
        return
    times = report["p50_ms"]
    print(f"{report['network']} at {SIDE}², batch 1, one thread, {report['machine']}")
    for name, p50 in times.items():
        top1 = f"top-1 {report['top1'][name]:.1%}" if "top1" in report else ""
        layers = report["integer_layers"].get(name)
        kernels = f"{layers[0]} of {layers[1]} layers in integers" if layers else ""
        same = report["same_answer_as_float"][name]
        share = p50 / times["float"]
        print(f"{name:16} {p50:7.2f} ms  {share:5.2f} of float  {top1}  same {same:.1%}  {kernels}")
    print(f"residual adds in integers: {report['adds'][0]} of {report['adds'][1]}")
    for key in ("nncf_onnx_error", "ort_default_error"):
        if key in report:
            print(f"{key}: {report[key]}")


if __name__ == "__main__":
    main()
