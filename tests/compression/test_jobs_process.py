"""One process for a run: how each way to end is put down. Real processes, real signals."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import support_job
from slimcast.jobs.process import run_in_process
from slimcast.records import EventKind, Run, RunState
from slimcast.settings import Settings
from slimcast.store import Store
from support_store import make_recipe, make_settings
from support_wait import PATIENCE, wait_for

COMMAND = (sys.executable, support_job.__file__)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


def _run(name: str, store: Store, settings: Settings) -> Run:
    run = store.create_run(make_recipe(name))
    run_in_process(run.id, settings=settings, store=store, command=COMMAND)
    return store.run(run.id)


@pytest.mark.parametrize(
    ("name", "state", "error"),
    [
        ("quick", RunState.SUCCEEDED, ""),
        ("killed", RunState.INTERRUPTED, "signal 9 (out of memory?)"),
        ("crashes", RunState.FAILED, "SIGSEGV"),
        ("exits", RunState.FAILED, "code 7: the last words"),
    ],
)
def test_how_it_ends(store: Store, settings: Settings, name: str, state: RunState, error: str):
    run = _run(name, store, settings)
    assert run.state is state
    assert error in run.error
    assert [variant.name for variant in store.variants(run.id)] == ["0-train"]


def test_killed_run_goes_on_after_its_last_step(store: Store, settings: Settings):
    run = _run("killed", store, settings)
    store.requeue(run.id)
    run_in_process(run.id, settings=settings, store=store, command=COMMAND)
    assert store.run(run.id).state is RunState.SUCCEEDED
    steps = [event.data["status"] for event in store.events(run.id, kinds=[EventKind.STEP])]
    assert steps[-1] == "skipped"


@pytest.mark.parametrize("name", ["native", "holds"])
def test_cancel_reaches_a_native_call(store: Store, settings: Settings, name: str):
    run = store.create_run(make_recipe(name))
    watcher = threading.Thread(
        target=run_in_process,
        args=(run.id,),
        kwargs={"settings": settings, "store": store, "command": COMMAND},
    )
    watcher.start()
    wait_for((settings.home / f"first-step-done-{name}").exists, "the first step is done")
    store.request_cancel(run.id)
    watcher.join(timeout=60 * PATIENCE)
    assert not watcher.is_alive()
    assert store.run(run.id).state is RunState.CANCELLED


def test_process_that_cannot_start_says_its_last_line(store: Store, settings: Settings):
    run = store.create_run(make_recipe())
    run_in_process(
        run.id,
        settings=settings,
        store=store,
        command=(sys.executable, "-c", "raise SystemExit('no engine')"),
    )
    assert store.run(run.id).state is RunState.FAILED
    assert "no engine" in store.run(run.id).error


def test_program_that_is_not_there(store: Store, settings: Settings):
    run = store.create_run(make_recipe())
    run_in_process(run.id, settings=settings, store=store, command=("/no/such/program",))
    assert store.run(run.id).state is RunState.FAILED
    assert "/no/such/program" in store.run(run.id).error


def test_cancelled_run_is_not_started(store: Store, settings: Settings):
    run = store.create_run(make_recipe("quick"))
    store.request_cancel(run.id)
    run_in_process(run.id, settings=settings, store=store, command=COMMAND)
    assert store.run(run.id).state is RunState.CANCELLED
    assert not (settings.logs_folder / f"{run.id}.log").exists()
