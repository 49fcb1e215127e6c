"""The peers of quantization_imagenet.py, run by the Python of an environment of their own.

Run by that benchmark: PYTHON benchmarks/quantization_peers.py FOLDER. The folder has float.onnx (uint8 image,
(N, H, W, C), in, logits out), calibration.npy and images.npy; what is found out goes beside them. That
environment needs: pip install openvino nncf onnx
"""

import json
import sys
import time
from pathlib import Path

import nncf
import numpy as np
import onnx
import openvino

ROUNDS = 6
SECONDS = 0.4


def main():
    folder = Path(sys.argv[1])
    calibration, images = np.load(folder / "calibration.npy"), np.load(folder / "images.npy")
    data = nncf.Dataset(list(calibration[:, None]), lambda image: {"image": image})
    report = {"versions": {"openvino": openvino.__version__, "nncf": nncf.__version__}}
    try:
        quantized = nncf.quantize(onnx.load(folder / "float.onnx"), data, subset_size=len(calibration))
        onnx.save(quantized, folder / "nncf.onnx")
    except Exception as error:  # whatever it raises is what there is to report
        report["nncf_error"] = str(error)[:300]
    whole = openvino.convert_model(folder / "float.onnx")
    small = nncf.quantize(whole, data, subset_size=len(calibration))
    core = openvino.Core()
    networks = {
        name: core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
        for name, model in (("openvino_float", whole), ("openvino_int8", small))
    }
    best = dict.fromkeys(networks, float("inf"))
    for _ in range(ROUNDS):
        for name, network in networks.items():
            best[name] = min(best[name], p50_ms(network, images))
    report["p50_ms"] = best
    for name, network in networks.items():
        answers = [next(iter(network({"image": image[None]}).values())) for image in images]
        np.save(folder / f"{name}.npy", np.concatenate(answers))
    (folder / "peers.json").write_text(json.dumps(report))


def p50_ms(network, images):
    """Return the median time of one image, ms."""
    request = network.create_infer_request()
    batches = [np.ascontiguousarray(image[None]) for image in images[:16]]
    for batch in batches:
        request.infer({"image": batch})
    times = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 20:
        start = time.perf_counter()
        request.infer({"image": batches[len(times) % len(batches)]})
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


if __name__ == "__main__":
    main()
