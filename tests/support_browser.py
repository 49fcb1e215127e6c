"""The real app and a real camera client as processes, and a Chromium to look at them."""

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from slimcast.demo.camera import prepare_camera
from slimcast.settings import Settings
from support_wait import PATIENCE, wait_for

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


def chromium() -> str | None:
    """Return the browser's path, None where there is none."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@contextmanager
def process(
    command: list[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process beside us; it is stopped at the end, and its log is shown when it failed to start."""
    variables = os.environ | dict(environment) | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        started = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(timeout=20 * PATIENCE)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def running_app(settings: Settings, log: Path, timeout_s: float = 120.0) -> Iterator[str]:
    """Run the app until the block ends; gives its address once it answers."""
    address = f"http://{settings.host}:{settings.port}"
    with process([sys.executable, "-m", "slimcast_web"], settings.to_environment(), log) as app:
        wait_for(
            lambda: answers(f"{address}/healthz") or app.poll() is not None, "the app to answer", timeout_s
        )
        if app.poll() is not None:
            raise AssertionError(f"The app ended with code {app.returncode}:\n{log.read_text()[-3000:]}")
        yield address


@contextmanager
def running_camera(settings: Settings, log: Path, *, hold_frames: int) -> Iterator[None]:
    """Run the real client with a simulated camera that shows held-out digits."""
    command = prepare_camera(settings, hold_frames=hold_frames)
    with process(command, {}, log):
        yield


def answers(url: str) -> bool:
    """Return whether an address answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5 * PATIENCE) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def first_visit(
    page, address: str, timeout_s: float, seen: Callable[[str], None] = lambda _name: None
) -> None:
    """Go a newcomer's way on Home, from an empty studio to labelled frames; `seen` hears of each stage."""
    page.goto(address)
    page.get_by_role("button", name="Compress digits").click()
    for button in ("Switch on the simulated camera", "Publish"):
        place = page.get_by_role("button", name=button, exact=True)
        place.wait_for(timeout=timeout_s * 1000)
        seen(button)
        place.click()
    link = page.get_by_role("link", name="See the frames")
    link.wait_for(timeout=timeout_s * 1000)
    seen("See the frames")
    link.click()
    page.locator('figure[data-condition="live"]').first.wait_for(timeout=timeout_s * 1000)
