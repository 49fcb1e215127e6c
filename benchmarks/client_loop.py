"""What the client's loop costs beside the bare runtime, and the gap that a model swap leaves at 30 fps.

python benchmarks/client_loop.py [MODEL.onnx] [--seconds 5] [--json]

The loop is the client's own camera and infer threads with their slot; the bare runtime runs the same images
in a plain loop. A swap does what the deployment does: a trial in a process of its own, then opening and
warming here, then the change between two frames.
"""

import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from client_artifact import artifact, parser, show

from slimcast_edge.bench import describe_machine, noise
from slimcast_edge.camera import Frame
from slimcast_edge.camera.pace import Pace
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.loops import CameraLoop, InferLoop, Source
from slimcast_edge.client.traffic import Traffic
from slimcast_edge.deploy.state import ModelEntry
from slimcast_edge.deploy.trial_process import TrialProcess
from slimcast_edge.runtime import RuntimeChoice, open_runtime
from slimcast_edge.slots import Ring

SWAPS = 3
ROUNDS = 15
FPS = 30


class Images:
    """A camera that gives images which are in memory already."""

    def __init__(self, images, fps):
        self._images, self._pace, self._number = images, Pace(fps), 0
        self.waits = fps == 0

    def read(self):
        """Return the next image."""
        self._pace.wait()
        self._number += 1
        pixels = self._images[self._number % len(self._images)]
        return Frame(pixels=pixels, captured_at=time.time(), number=self._number - 1)

    def close(self):
        """Stop."""
        self._pace.stop()


def run_loop(engine, images, fps, seconds, during=None):
    """Run the client's loop; return (number, monotonic s) of every result."""
    frames, traffic, stopping, results = Ring(1), Traffic(), threading.Event(), []
    source = Source(open=lambda: Images(images, fps))
    camera = CameraLoop(source, frames.slots[0], engine, traffic, stopping)
    infer = InferLoop(
        frames, engine, {"": traffic}, lambda item: results.append((item.frame.number, time.perf_counter()))
    )
    threads = [threading.Thread(target=infer.run), threading.Thread(target=camera.run)]
    for thread in threads:
        thread.start()
    if during is not None:
        during()
    time.sleep(seconds)
    stopping.set()
    frames.close()
    for thread in threads:
        thread.join()
    return results


def bare_rate(model, images, seconds):
    """Return images a second of the runtime alone."""
    runtime = open_runtime(model)
    batches = [image[None] for image in images]
    count, end = 0, time.perf_counter() + seconds
    started = time.perf_counter()
    while time.perf_counter() < end:
        runtime.run(batches[count % len(batches)])
        count += 1
    return count / (time.perf_counter() - started)


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=5.0, help="how long each part runs")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        model = artifact(options.model, Path(name))
        runtime = open_runtime(model)
        images = list(noise(runtime, 16))
        entry = ModelEntry(sha256="0" * 64, name="bench")
        engine = Engine(RuntimeChoice())
        engine.swap(engine.open(model, entry))
        bare, rates = [], []
        for _ in range(ROUNDS):  # in short turns, so that a busy machine is busy for both
            before = bare_rate(model, images, options.seconds / ROUNDS)
            results = run_loop(engine, images, 0, options.seconds / ROUNDS)
            rates.append((len(results) - 1) / (results[-1][1] - results[0][1]))
            bare.append((before + bare_rate(model, images, options.seconds / ROUNDS)) / 2)
        shares = np.array(rates) / np.array(bare)
        trial = TrialProcess(RuntimeChoice(), max_latency_ms=None)

        def swaps():
            for _ in range(SWAPS):
                time.sleep(1)
                trial(model)
                engine.swap(engine.open(model, entry))
                engine.settle()

        quiet = run_loop(engine, images, FPS, options.seconds)
        swapped = run_loop(engine, images, FPS, 1, during=swaps)
    document = {
        "machine": describe_machine(),
        "load_1m": os.getloadavg()[0],
        "bare_fps": float(np.median(bare)),
        "loop_fps": float(np.median(rates)),
        "loop_share_of_bare": float(np.median(shares)),
        "loop_share_quartiles": [round(float(share), 3) for share in np.percentile(shares, [25, 75])],
        "loop_overhead_us": float(1e6 / np.median(rates) - 1e6 / np.median(bare)),
        "swaps": SWAPS,
        "quiet_gap_ms_max": longest_gap_ms(quiet),
        "swap_gap_ms_max": longest_gap_ms(swapped),
        "swap_gap_ms_allowed": 1000 / FPS + 10,
        "frames_lost_quiet": lost(quiet),
        "frames_lost_in_swaps": lost(swapped),
    }
    show(document, options.json)


def longest_gap_ms(results):
    """Return the longest time between two results, ms."""
    return float(np.diff([at for _, at in results]).max() * 1e3)


def lost(results):
    """Return how many frame numbers are missing between the first and the last."""
    return results[-1][0] - results[0][0] + 1 - len(results)


if __name__ == "__main__":
    main()
