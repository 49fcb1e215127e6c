"""How soon a page of the studio can be used, in Chromium, with a thousand runs in the store.

    python benchmarks/studio_browser.py [--runs 1000] [--rounds 5] [--loads 50] [--json]

Cold: a browser without a cache opens the page's address. Navigation: a click on the page's link in a tab that
is open. Both end when the page can be used: it has its title, the script has ended and nothing is marked as
stale; "whole" ends when no part of it is a placeholder any more, such as a plot whose library (Plotly, 5 MB)
a cold browser has to read first. Then one tab loads pages `--loads` times, and the app's memory before and
after is told.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from live_latency import app_process, table
from playwright.sync_api import Browser, Page, sync_playwright

from slimcast.ports import free_port
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.bench import describe_machine, load
from support_browser import ARGUMENTS, chromium, running_app
from support_seed import seed

PAGES = {
    "Home": "", "Compress": "compress", "Runs": "runs", "Trade-offs": "trade-offs", "Search": "search",
    "Fleet": "fleet", "Live": "live", "Settings": "settings",
}  # fmt: skip
READY = """title => {
  const app = document.querySelector('[data-testid="stApp"]');
  const heading = document.querySelector('[data-testid="stMain"] h1');
  return app && app.dataset.testScriptState === 'notRunning' && heading
    && (title === null || heading.textContent.trim() !== title)
    && !document.querySelector('[data-stale="true"]');
}"""
WHOLE = """() => !document.querySelector('[data-testid="stSkeleton"]')"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000, help="in the store, of a hundred measurements each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loads", type=int, default=50, help="of pages, before memory is read again")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if chromium() is None:
        raise SystemExit(
            "studio_browser: Chromium is needed. Install it, on Debian with: apt install chromium"
        )
    with ExitStack() as stack:
        result = measure(stack, options)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def measure(stack: ExitStack, options: argparse.Namespace) -> dict:
    """Start a studio with so many runs, and return the figures; times in ms."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    settings = Settings.from_environment(
        {
            "SLIMCAST_HOME": str(folder / "home"),
            "SLIMCAST_PORT": str(free_port()),
            "SLIMCAST_BROKER_PORT": str(free_port()),
        }
    )
    store = Store.open(settings)
    seed(store, runs=options.runs)
    store.close()
    address = stack.enter_context(running_app(settings, folder / "app.log"))
    browser = stack.enter_context(sync_playwright()).chromium.launch(
        executable_path=chromium(), args=ARGUMENTS
    )
    first = cold(browser, address)  # the app imports what its pages need
    figures: dict[str, list[Times]] = {f"cold {name}": [] for name in PAGES}
    figures |= {f"to {name}": [] for name in PAGES}
    page = browser.new_page()
    opened(page, address)
    for _ in range(options.rounds):
        for name, path in PAGES.items():
            figures[f"cold {name}"].append(cold(browser, f"{address}/{path}"))
        for name in (*list(PAGES)[1:], "Home"):
            figures[f"to {name}"].append(follow(page, name))
    app = app_process(settings)
    before = app.memory_info().rss / 1e6
    for number in range(options.loads):
        opened(page, f"{address}/{list(PAGES.values())[number % len(PAGES)]}")
    version = browser.version
    browser.close()
    return {
        "machine": describe_machine(),
        "browser": f"Chromium {version}",
        "python": sys.version.split()[0],
        "load": round(load(), 1),
        "runs": options.runs,
        "first_page_ms": round(first.usable),
        **{name: spread([one.usable for one in times]) for name, times in figures.items()},
        **{f"{name}, whole": spread([one.whole for one in times]) for name, times in figures.items()},
        "app_memory_before_mb": round(before, 1),
        f"app_memory_after_{options.loads}_loads_mb": round(app.memory_info().rss / 1e6, 1),
    }


class Times(NamedTuple):
    """Until a page can be used and until it is whole, ms."""

    usable: float
    whole: float


def cold(browser: Browser, address: str) -> Times:
    """Open a page in a browser that has never been there."""
    context = browser.new_context()
    try:
        return opened(context.new_page(), address)
    finally:
        context.close()


def opened(page: Page, address: str) -> Times:
    """Open an address in a tab."""
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    return waited(page, None, started)


def follow(page: Page, name: str) -> Times:
    """Click a page's link."""
    before = page.locator('[data-testid="stMain"] h1').first.inner_text().strip()
    link = page.get_by_role("link", name=name, exact=True).first
    started = time.perf_counter()
    link.click()
    return waited(page, before, started)


def waited(page: Page, before: str | None, started: float) -> Times:
    """Wait until a page with another title than `before` is there."""
    page.wait_for_function(READY, arg=before)
    usable = time.perf_counter()
    page.wait_for_function(WHOLE)
    return Times(1000 * (usable - started), 1000 * (time.perf_counter() - started))


def spread(values: list[float]) -> dict[str, float]:
    """Return median and maximum, under the names that the table knows."""
    return {"p50": round(statistics.median(values), 1), "p95": round(max(values), 1)}


if __name__ == "__main__":
    sys.exit(main())
