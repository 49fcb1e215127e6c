"""Take the two pictures of the README: four cameras that read handwriting, and the trade-offs of their model.

Command: make screenshots-readme     (Chromium, MNIST; three minutes; docs/images/live.jpg, trade-offs.png)

All of it is real: the recipe is run, the model is published to four clients, and each of them shows held-out
digits as ink on paper.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from screenshots import COLOURS, IMAGES, WAIT_S

from slimcast.fleet import studio_key
from slimcast.ports import free_port
from slimcast.settings import Settings
from slimcast_edge.signing import public_key_to_text
from support_browser import ARGUMENTS, chromium, process, running_app

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "recipes" / "lenet5-mnist-int8.yaml"
CAMERAS = ("desk", "gate", "hall", "line-2")
EDGE = (sys.executable, "-m", "slimcast_edge")
SIZE = {"width": 1280, "height": 860}
SEEN_MS = 40_000  # so that the strips below the pictures have something to show


def main() -> None:
    """Run the recipe, start the cameras, publish, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slimcast-", dir="/tmp") as folder, ExitStack() as stack:
        settings = replace(
            Settings.from_environment(),
            home=Path(folder) / "home",
            port=free_port(),
            broker_port=free_port(),
            broker_url="",
        )
        run = json.loads(_slimcast(settings, "run", arguments.recipe, "--json"))["run"]
        address = stack.enter_context(running_app(settings, Path(folder) / "app.log", WAIT_S))
        for number, name in enumerate(CAMERAS):
            command = _camera(settings, Path(folder), name, number)
            stack.enter_context(process(command, {}, Path(folder) / f"{name}.log"))
        best = json.loads(_slimcast(settings, "show", run, "--json"))["variants"][-1]["name"]
        for name in CAMERAS:
            _slimcast(settings, "publish", run, "--variant", best, "--device", name)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            page = browser.new_page(viewport=SIZE)
            page.goto(f"{address}/trade-offs?run={run}")
            page.locator(".js-plotly-plot").get_by_text(best, exact=True).wait_for()
            page.wait_for_timeout(2000)  # a plot has no sign of its own when it is drawn
            _save(page.screenshot(), arguments.out / "trade-offs.png")
            page.goto(f"{address}/live")
            page.locator('figure[data-condition="live"]').nth(len(CAMERAS) - 1).wait_for()
            page.wait_for_timeout(SEEN_MS)
            _save(page.screenshot(), arguments.out / "live.jpg")
            browser.close()


def _slimcast(settings: Settings, *arguments: object) -> str:
    command = [sys.executable, "-m", "slimcast", *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | settings.to_environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _camera(settings: Settings, folder: Path, name: str, number: int) -> list[str]:
    """Write a camera's digits, beginning with others than its neighbours', and its settings; pin the key."""
    images, config = folder / f"{name}.npz", folder / f"{name}.toml"
    _slimcast(settings, "samples", "mnist", "--out", images)
    with np.load(images, allow_pickle=False) as arrays:
        pixels, labels = arrays["images"], arrays["labels"]
    order = np.random.default_rng(number).permutation(len(labels))
    np.savez_compressed(images, images=pixels[order], labels=labels[order])
    lines = {"device": name, "broker": settings.effective_broker_url, "state_folder": str(folder / name)}
    camera = {"kind": "synthetic", "source": str(images), "scene": "paper", "fps": 5, "hold": 12}
    tables = [*lines.items(), None, *camera.items()]
    config.write_text(
        "\n".join("[camera]" if row is None else f"{row[0]} = {json.dumps(row[1])}" for row in tables)
    )
    key = public_key_to_text(studio_key(settings).public_key())
    subprocess.run([*EDGE, "enroll", "--config", str(config), "--key", key], check=True, stdout=sys.stderr)
    return [*EDGE, "run", "--config", str(config)]


def _save(png: bytes, file: Path) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if file.suffix == ".jpg":  # frames have more colours than a palette holds
        picture.save(file, quality=82, subsampling=0, optimize=True)
    else:
        picture.quantize(COLOURS).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
