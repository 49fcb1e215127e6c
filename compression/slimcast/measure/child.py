"""Opens an artifact in a process of its own, without torch, as a camera would; prints one JSON line.

Run as ``python -m slimcast.measure.child``, with one JSON line on stdin: the paths ``model``, ``images``
(.npy, read) and ``logits`` (.npy, written), and ``seconds``. Latency and memory measured here owe nothing to
the training that went before.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from slimcast_edge.bench import measure_latency
from slimcast_edge.errors import SlimcastError
from slimcast_edge.runtime import open_runtime
from slimcast_edge.telemetry import peak_rss_mb


def main() -> int:
    """Write the logits of the images, and print latency and peak memory."""
    line = sys.stdin.readline()
    if not line:
        return 0  # nobody has asked
    request = json.loads(line)
    images = np.load(request["images"], allow_pickle=False)
    try:
        runtime = open_runtime(Path(request["model"]), threads=1)
        logits = np.concatenate([runtime.run(image[None]) for image in images])
        latency = measure_latency(runtime, images, seconds=request["seconds"])
    except SlimcastError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    np.save(request["logits"], logits, allow_pickle=False)
    print(json.dumps({"latency": asdict(latency), "peak_rss_mb": peak_rss_mb()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
