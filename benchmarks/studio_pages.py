"""How long Runs and Trade-offs take with a thousand runs and a hundred thousand measurements in the store.

Run: python benchmarks/studio_pages.py. Each page is run by Streamlit's AppTest in this process, without a
browser: the time is that of the script, from a changed widget to the last element. On a busy machine the CPU
time says more.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from streamlit.testing.v1 import AppTest

from slimcast.settings import Settings
from slimcast.store import Store
from slimcast.store.run_list import RunFilter
from slimcast_edge.bench import describe_machine
from slimcast_web.services import run_pages, runs, studio, tradeoffs
from slimcast_web.services.studio import Studio
from support_seed import seed
from support_web import FakeHub, FakeQueue

warnings.filterwarnings("ignore")


def main() -> None:
    """Seed a store, run the pages, print milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.from_environment({"SLIMCAST_HOME": home})
        store = Store.open(settings)
        ids = seed(store, runs=chosen.runs)
        opened = Studio(settings=settings, store=store, queue=FakeQueue(store), hub=FakeHub())
        studio.use(opened)
        print(f"{chosen.runs} runs, {chosen.runs * 100:,} measurements; {describe_machine()}")
        print(f"{'what':<42}{'median ms':>10}{'max ms':>10}{'CPU ms':>10}")
        _services(opened, ids, chosen.repeat)
        _pages(ids, chosen.repeat)
        store.close()


def _services(opened: Studio, ids: list[str], repeat: int) -> None:
    _time("service: runs to choose from", lambda: tradeoffs.runs_with_variants(opened), repeat)
    for count in (1, 10, 100):
        _time(f"service: points of {count} runs", lambda n=count: tradeoffs.points(opened, ids[:n]), repeat)
    _time("service: a page of runs", lambda: run_pages.page(opened, RunFilter(), 0), repeat)
    _time("service: one run in detail", lambda: runs.detail(opened, ids[0]), repeat)


def _pages(ids: list[str], repeat: int) -> None:
    for name, query in (
        ("runs", {}),
        ("tradeoffs", {"run": ids[:1]}),
        ("tradeoffs", {"run": ids[:10]}),
        ("tradeoffs", {"run": ids[:100]}),
        ("tradeoffs", {"run": ids[:10], "show": "table"}),
        ("tradeoffs", {"run": ids[:10], "show": "compare"}),
    ):
        test = AppTest.from_string(
            f"from slimcast_web.pages import {name}\n{name}.show()", default_timeout=120
        )
        for key, value in query.items():
            test.query_params[key] = value
        test.run()
        assert not test.exception, test.exception
        what = f"{len(query['run'])} runs{' ' + str(query.get('show', ''))}" if "run" in query else "list"
        _time(f"page {name}: {what}", lambda page=test: page.run(), repeat)


def _time(what: str, call: Callable[[], object], repeat: int) -> None:
    call()
    wall, cpu = [], []
    for _ in range(repeat):
        begun, begun_cpu = time.perf_counter(), time.process_time()
        call()
        wall.append((time.perf_counter() - begun) * 1e3)
        cpu.append((time.process_time() - begun_cpu) * 1e3)
    print(f"{what:<42}{statistics.median(wall):>10.1f}{max(wall):>10.1f}{statistics.median(cpu):>10.1f}")


if __name__ == "__main__":
    main()
