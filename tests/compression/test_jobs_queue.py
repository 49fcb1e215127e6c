"""The queue on a real embedded Dask cluster, with real job processes; and what survives kill -9."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import support_job
from slimcast.jobs.queue import JobQueue
from slimcast.records import EventKind, RunState
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.errors import SettingsError
from support_store import make_recipe, make_settings
from support_wait import PATIENCE, wait_for

COMMAND = (sys.executable, support_job.__file__)

# Dask says this on a disk that is busy.
pytestmark = [pytest.mark.filterwarnings("ignore:Creating scratch directories"), pytest.mark.slow]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


@pytest.fixture
def start_queue(settings: Settings, store: Store) -> Iterator[Callable[[], JobQueue]]:
    started: list[JobQueue] = []

    def start() -> JobQueue:
        queue = JobQueue(settings, store, silent_for_s=2.0 * PATIENCE, command=COMMAND)
        queue.start()
        started.append(queue)
        return queue

    yield start
    for queue in started:
        queue.stop()


def _wait_state(store: Store, run_id: str, state: RunState) -> None:
    wait_for(lambda: store.run(run_id).state is state, f"{run_id} is {state}", timeout_s=90)


def test_runs_go_one_after_the_other(start_queue, store: Store, settings: Settings):
    waiting_before = store.create_run(make_recipe("waits"))
    queue = start_queue()
    second = queue.submit(make_recipe("quick.second"))
    third = queue.submit(make_recipe("quick.third"))
    wait_for((settings.home / "first-step-done-waits").exists, "the run that was there before is going on")
    assert store.run(second.id).state is RunState.QUEUED
    assert queue.cancel(third.id).state is RunState.CANCELLED
    (settings.home / "go").touch()
    _wait_state(store, second.id, RunState.SUCCEEDED)
    first = store.run(waiting_before.id)
    assert first.state is RunState.SUCCEEDED
    assert first.finished_at <= store.run(second.id).started_at
    assert store.run(third.id).state is RunState.CANCELLED


def test_stop_interrupts_and_resume_goes_on(start_queue, store: Store, settings: Settings):
    queue = start_queue()
    run = queue.submit(make_recipe("waits"))
    wait_for((settings.home / "first-step-done-waits").exists, "the first step is done")
    queue.stop()
    stopped = store.run(run.id)
    assert stopped.state is RunState.INTERRUPTED
    start_queue().resume(run.id)
    _wait_state(store, run.id, RunState.SUCCEEDED)
    steps = [event.data["status"] for event in store.events(run.id, kinds=[EventKind.STEP])]
    assert steps == ["started", "finished", "skipped"]


_APP = """
import sys, time
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
from slimcast.jobs.queue import JobQueue
from slimcast.settings import Settings
from slimcast.store import Store
from support_store import make_recipe

if __name__ == "__main__":
    settings = Settings.from_environment()
    queue = JobQueue(settings, Store.open(settings), command=(sys.executable, sys.argv[1]))
    queue.start()
    print(queue.submit(make_recipe("waits")).id, queue.submit(make_recipe("quick")).id, flush=True)
    time.sleep(600)
"""


def test_kill_9_of_the_app_and_then_of_its_job(start_queue, store: Store, settings: Settings):
    app = subprocess.Popen(
        [sys.executable, "-c", _APP, support_job.__file__],
        env=os.environ | settings.to_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with app:
        running, queued = app.stdout.readline().split()
        wait_for((settings.home / "first-step-done-waits").exists, "the first step is done", timeout_s=120)
        app.kill()
    # The job is a process of its own and has survived the app.
    beat = store.run(running).heartbeat_at
    wait_for(lambda: store.run(running).heartbeat_at > beat, "the job goes on without the app")
    os.kill(int(store.run(running).worker.rpartition(":")[2]), signal.SIGKILL)
    start_queue()
    _wait_state(store, running, RunState.INTERRUPTED)
    _wait_state(store, queued, RunState.SUCCEEDED)
    assert [variant.name for variant in store.variants(running)] == ["0-train"]
    assert store.artifacts.read(store.checkpoints(running)[0].file) == b"weights"
    told = store.events(running, kinds=[EventKind.STATE])[-1].data
    assert (told["state"], "silent" in told["reason"]) == ("interrupted", True)


def test_scheduler_that_does_not_answer(tmp_path: Path, store: Store):
    settings = make_settings(tmp_path, SLIMCAST_DASK_SCHEDULER="tcp://127.0.0.1:9")
    queue = JobQueue(settings, store)
    with pytest.raises(SettingsError, match="SLIMCAST_DASK_SCHEDULER"):
        queue.start()
    queue.stop()
