"""From publish to pixel: how old a frame is when Chromium shows it, and what streaming costs the app.

    python benchmarks/live_latency.py [--minutes 1] [--cameras 1] [--fps 30] [--json]

Real app, embedded broker, real clients (synthetic cameras, 640x480) and Chromium on one machine, so that all
clocks are one. Several cameras share `--processes` processes, each with a client of its own. Publish is taken
as the moment the answer was ready (`classified_at`): encoding, MQTT, hub, socket, decoding and drawing come
after it. Shown is the animation frame after the drawing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
from fleetstudio import Meeting, clients

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from slimcast.demo.camera import prepare_camera
from slimcast.fleet.keys import studio_key
from slimcast.ports import free_port
from slimcast.settings import Settings
from slimcast_edge.bench import describe_machine, load
from slimcast_edge.signing import public_key_to_text
from support_browser import ARGUMENTS, chromium, process, running_app

WARM_UP_S = 8.0
SAMPLE_S = 5.0
RECIPE = """version: 1
name: live-benchmark
model: {name: lenet5}
data: {name: digits}
steps: [{kind: train, epochs: 3}, {kind: quantize}]
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to stream (default: 1)")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument(
        "--fps", type=float, default=30.0, help="of each of several cameras; one alone has 30"
    )
    parser.add_argument("--processes", type=int, default=4, help="that several cameras share")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if chromium() is None:
        print(
            "live_latency: Chromium is needed. Install it, on Debian with: apt install chromium",
            file=sys.stderr,
        )
        return 1
    with ExitStack() as stack:
        result = measure(stack, options)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def measure(stack: ExitStack, options: argparse.Namespace) -> dict:
    """Set everything up, stream, and return the figures."""
    from playwright.sync_api import sync_playwright

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    settings = Settings.from_environment(
        {
            "SLIMCAST_HOME": str(folder / "home"),
            "SLIMCAST_PORT": str(free_port()),
            "SLIMCAST_BROKER_PORT": str(free_port()),
        }
    )
    start_cameras = several_cameras if options.cameras > 1 else one_camera
    cameras = start_cameras(folder, settings, options)
    address = stack.enter_context(running_app(settings, folder / "app.log"))
    stack.enter_context(cameras)
    playwright = stack.enter_context(sync_playwright())
    browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{address}/live?kiosk=1")
    live = page.locator('figure[data-condition="live"]')
    live.nth(options.cameras - 1).wait_for(timeout=120_000)
    time.sleep(WARM_UP_S)
    page.evaluate("window.__slimcastLatencies.length = 0")
    app = app_process(settings)
    frames, memory, cpu_s, wall_s = [], [], cpu_seconds(app), time.monotonic()
    deadline = wall_s + 60 * options.minutes
    while time.monotonic() < deadline:
        time.sleep(min(SAMPLE_S, max(0.0, deadline - time.monotonic())))
        frames += page.evaluate("window.__slimcastLatencies.splice(0)")
        memory.append(app.memory_info().rss / 1e6)
    wall_s = time.monotonic() - wall_s
    cpu_s = cpu_seconds(app) - cpu_s
    version, still_live = browser.version, live.count()
    browser.close()
    return (
        {"cameras": options.cameras, "still_live": still_live}
        | summary(frames, memory, cpu_s, wall_s)
        | {
            "load": round(load(), 1),
            "machine": describe_machine(),
            "browser": f"Chromium {version}",
            "python": platform.python_version(),
        }
    )


def summary(frames: list[dict], memory: list[float], cpu_s: float, wall_s: float) -> dict:
    """Return the figures; latencies in ms, memory in MB."""

    def between(start: str, end: str) -> dict[str, float]:
        values = sorted(1000 * (frame[end] - frame[start]) for frame in frames)
        return {
            name: round(values[int(len(values) * share)], 1) for name, share in (("p50", 0.5), ("p95", 0.95))
        }

    tenth = max(1, len(memory) // 10)
    return {
        "seconds": round(wall_s, 1),
        "frames": len(frames),
        "fps": round(len(frames) / wall_s, 2),
        "missed_frames": sum(missed(frames, device) for device in {frame["device"] for frame in frames}),
        "publish_to_pixel_ms": between("classified_at", "shown_at"),
        "capture_to_pixel_ms": between("captured_at", "shown_at"),
        "hub_to_socket_ms": between("received_at", "sent_at"),
        "socket_to_pixel_ms": between("sent_at", "shown_at"),
        "app_memory_start_mb": round(sum(memory[:tenth]) / tenth, 1),
        "app_memory_end_mb": round(sum(memory[-tenth:]) / tenth, 1),
        "app_cpu_percent_of_one_core": round(100 * cpu_s / wall_s, 1),
    }


def missed(frames: list[dict], device: str) -> int:
    """Return how many frames of a device were not shown between the first and the last that were."""
    numbers = [frame["frame"] for frame in frames if frame["device"] == device]
    return max(numbers) - min(numbers) + 1 - len(numbers)


def table(result: dict) -> str:
    """Return the figures as lines."""
    rows = [f"{result['machine']}; {result['browser']}; Python {result['python']}"]
    for name, value in result.items():
        if name in {"machine", "browser", "python"}:
            continue
        text = f"p50 {value['p50']:.1f}   p95 {value['p95']:.1f}" if isinstance(value, dict) else str(value)
        rows.append(f"{name:<30}{text}")
    return "\n".join(rows)


def one_camera(folder: Path, settings: Settings, _options: argparse.Namespace) -> AbstractContextManager:
    """Return the camera of the demo, with a small model that it is given first."""
    model = train(folder, settings)
    command = prepare_camera(settings, hold_frames=15)
    return process(command, {"SLIMCAST_EDGE_MODEL": str(model)}, folder / "camera.log")


def several_cameras(folder: Path, settings: Settings, options: argparse.Namespace) -> AbstractContextManager:
    """Return so many clients in a few processes."""
    key = public_key_to_text(studio_key(settings).public_key())
    meeting = Meeting(settings.effective_broker_url, key, folder)
    size = {"width": 640, "height": 480, "fps": options.fps}
    return clients(meeting, options.cameras, min(options.processes, options.cameras), **size)


def train(folder: Path, settings: Settings) -> Path:
    """Make a small model and return its file."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "slimcast",
        "run",
        str(recipe),
        "--out",
        str(folder / "models"),
        "--json",
    ]
    environment = settings.to_environment() | {"SLIMCAST_HOME": str(folder / "training")}
    for name in ("SLIMCAST_DATABASE_URL", "SLIMCAST_ARTIFACT_URL"):
        del environment[name]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"The model could not be trained:\n{done.stderr[-2000:]}")
    return Path(json.loads(done.stdout)["variants"][-1]["artifact"])


def app_process(settings: Settings) -> psutil.Process:
    """Return the app's process: the one that listens on its port."""
    for child in psutil.Process().children():
        if any(
            c.laddr.port == settings.port for c in child.net_connections() if c.status == psutil.CONN_LISTEN
        ):
            return child
    raise SystemExit("The app's process is gone.")


def cpu_seconds(app: psutil.Process) -> float:
    """Return the CPU time that the app has used, without its broker."""
    times = app.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    sys.exit(main())
