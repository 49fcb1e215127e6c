"""Time from process start to the first classified frame, and resident memory, of the real client process.

python benchmarks/client_startup.py [MODEL.onnx] [--runs 5] [--json]
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from client_artifact import artifact, parser, show
from PIL import Image

from slimcast_edge.bench import describe_machine

SETTLE_S = 3.0
CONFIG = """
device = "bench"
broker = "mqtt://127.0.0.1:9"
state_folder = "{folder}/state"
model = "{model}"
[camera]
kind = "synthetic"
source = "{folder}/images"
"""


def one_start(folder, config):
    """Return (seconds, processor seconds, resident 10^6 bytes) of one start."""
    started = time.perf_counter()
    line = [sys.executable, "-m", "slimcast_edge", "run", "--config", str(config)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        for text in process.stderr:
            if "First frame classified" in text:
                break
        else:
            raise SystemExit("The client ended before its first frame.")
        seconds = time.perf_counter() - started
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        time.sleep(SETTLE_S)
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    processor_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return seconds, processor_s, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main():
    arguments = parser(__doc__)
    arguments.add_argument(
        "--runs", type=int, default=5, help="starts to measure, behind one that is not counted"
    )
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / "0_0.png")
        config = folder / "edge.toml"
        config.write_text(CONFIG.format(folder=folder, model=artifact(options.model, folder / "out")))
        one_start(folder, config)  # the first one reads the libraries from the disk
        seconds, processor, memory = zip(
            *(one_start(folder, config) for _ in range(options.runs)), strict=True
        )
    document = {
        "machine": describe_machine(),
        "load_1m": os.getloadavg()[0],
        "runs": options.runs,
        "first_frame_s_median": statistics.median(seconds),
        "first_frame_s_max": max(seconds),
        "processor_s_median": statistics.median(processor),
        "rss_mb_median": statistics.median(memory),
    }
    show(document, options.json)


if __name__ == "__main__":
    main()
