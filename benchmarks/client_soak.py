"""Memory of the real client process over a long time, with nobody and with somebody watching.

    python benchmarks/client_soak.py [MODEL.onnx] [--minutes 60] [--fps 15] [--json]

A client in a process of its own on a broker, with a synthetic camera. In the second half of the time somebody
watches, so that frames are encoded and sent. Resident memory is read every two seconds.
"""

import sys
import time
from pathlib import Path

import numpy as np
import psutil
from client_artifact import artifact, parser, show
from fleetstudio import BROKERS, Studio, studio
from PIL import Image

from slimcast_edge.bench import describe_machine, load
from support_browser import process

SAMPLE_S = 2.0
WARM_UP_S = 10.0
DEVICE = "bench"
CONFIG = f"""
device = "{DEVICE}"
broker = "{{broker}}"
state_folder = "{{folder}}/state"
model = "{{model}}"
[camera]
kind = "synthetic"
source = "{{folder}}/images"
fps = {{fps}}
"""


def main() -> int:
    """Measure and print."""
    arguments = parser(__doc__.partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=60.0, help="how long in all (default: 60)")
    arguments.add_argument("--fps", type=float, default=15.0, help="of the camera")
    options = arguments.parse_args()
    with studio(BROKERS[-1]) as made:
        config = configure(made, artifact(options.model, made.folder / "model"), options.fps)
        line = [sys.executable, "-m", "slimcast_edge", "run", "--config", str(config)]
        with process(line, {}, made.folder / "client.log") as client:
            document = watch(made, psutil.Process(client.pid), options)
    show({"machine": describe_machine(), "load": round(load(), 1)} | document, options.json)
    return 0


def configure(made: Studio, model: Path, fps: float) -> Path:
    """Write the client's configuration, and return its path."""
    images = made.folder / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(images / "0_0.png")
    config = made.folder / "edge.toml"
    config.write_text(CONFIG.format(folder=made.folder, broker=made.meeting.broker, model=model, fps=fps))
    return config


def watch(made: Studio, client: psutil.Process, options) -> dict:
    """Return what the client's memory was like."""
    while not made.hub.devices():
        time.sleep(SAMPLE_S)
    time.sleep(WARM_UP_S)
    alone = sample(client, 30 * options.minutes)
    frames: list[int] = []
    stop = made.hub.watch(DEVICE, "benchmark", lambda packet: frames.append(len(packet.jpeg)))
    watched = sample(client, 30 * options.minutes)
    stop()
    return {
        "minutes": options.minutes,
        "fps": options.fps,
        "frames_watched": len(frames),
        "alone_start_mb": mean(alone[: len(alone) // 10 + 1]),
        "alone_end_mb": mean(alone[-(len(alone) // 10 + 1) :]),
        "watched_start_mb": mean(watched[: len(watched) // 10 + 1]),
        "watched_end_mb": mean(watched[-(len(watched) // 10 + 1) :]),
        "most_mb": max(alone + watched),
    }


def sample(process: psutil.Process, seconds: float) -> list[float]:
    """Return the resident memory, 10^6 bytes, every two seconds."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        seen.append(process.memory_info().rss / 1e6)
        time.sleep(SAMPLE_S)
    return seen


def mean(values: list[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


if __name__ == "__main__":
    sys.exit(main())
