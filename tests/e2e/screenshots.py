"""Take a picture of every page of the real app, after a first visit's run, for the documentation.

Command: make screenshots          (Chromium; some minutes; writes docs/images/page-*.png)
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from slimcast.ports import free_port
from slimcast.settings import Settings
from support_browser import ARGUMENTS, chromium, first_visit, running_app

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PAGES = {
    "home": "", "compress": "compress", "runs": "runs", "trade-offs": "trade-offs", "search": "search",
    "fleet": "fleet", "live": "live", "settings": "settings",
}  # fmt: skip
WAIT_S = 600.0
COLOURS = 256


def main() -> None:
    """Start an empty studio, go the way of a newcomer, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--dark", action="store_true", help="the dark theme")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slimcast-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        settings = Settings.from_environment({"SLIMCAST_HOME": str(home)})
        settings = replace(
            settings,
            port=free_port(),
            broker_port=free_port(),
            data_root=home / "data",
            weights_root=home / "weights",
        )
        with (
            running_app(settings, Path(folder) / "app.log", WAIT_S) as address,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            page = browser.new_page(
                viewport={"width": arguments.width, "height": 800},
                color_scheme="dark" if arguments.dark else "light",
            )
            page.set_default_timeout(WAIT_S * 1000)
            page.on("console", lambda message: print(message.text) if message.type == "error" else None)
            first_visit(page, address, WAIT_S, lambda stage: print("seen:", stage, flush=True))
            for name, path in PAGES.items():
                _take(page, f"{address}/{path}", arguments.out / f"page-{name}.png")
            browser.close()


def _take(page: Page, address: str, file: Path) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    page.wait_for_load_state("networkidle") if "live" not in address else None
    page.locator('[data-testid="stSkeleton"]').first.wait_for(state="detached")
    page.wait_for_timeout(2000)  # plots and pictures have no sign of their own when they are drawn
    draft = file.with_suffix(".new.png")
    page.screenshot(path=draft)
    # A page has few colours: a palette makes a tenth of the file.
    Image.open(draft).convert("RGB").quantize(COLOURS).save(file, optimize=True)
    draft.unlink()
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
