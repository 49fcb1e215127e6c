"""The work of a run, in this process, with small pipelines."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slimcast.errors import RunStateError, StepError, StoreError
from slimcast.jobs.reporter import News, StoreReporter
from slimcast.jobs.worker import execute
from slimcast.records import EventKind, RunState
from slimcast.settings import Settings
from slimcast.store import Store
from support_store import make_recipe, make_settings, make_variant


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


def _run(store: Store, settings: Settings, pipeline):
    run = store.create_run(make_recipe())
    return execute(run.id, settings=settings, store=store, console=False, pipeline=pipeline)


def test_work_that_succeeds(store: Store, settings: Settings):
    def pipeline(recipe, *, run_id, store, settings, reporter):
        assert (recipe.name, settings.home) == ("lenet5-digits", store_home)
        reporter.step(0, "train", "started")
        reporter.point("train loss", 0.5, 1.25, 0)
        reporter.progress(0.5, "training, loss 1.25")
        store.save_variant(make_variant(run_id))
        return store.variants(run_id)

    store_home = settings.home
    run = _run(store, settings, pipeline)
    assert (run.state, run.progress, run.error) == (RunState.SUCCEEDED, 1.0, "")
    kinds = [event.kind for event in store.events(run.id)]
    assert kinds == [
        EventKind.STATE,
        EventKind.STATE,
        EventKind.STEP,
        EventKind.POINT,
        EventKind.PROGRESS,
        EventKind.STATE,
    ]
    assert store.events(run.id, kinds=[EventKind.POINT])[0].data == {
        "series": "train loss",
        "x": 0.5,
        "y": 1.25,
        "step": 0,
    }


def test_error_of_ours_is_its_own_sentence(store: Store, settings: Settings):
    def pipeline(_recipe, **_rest):
        raise StepError("Pruning had no effect.")

    run = _run(store, settings, pipeline)
    assert (run.state, run.error) == (RunState.FAILED, "Pruning had no effect.")


def test_defect_fails_the_run_and_leaves_its_trace_in_the_log(store: Store, settings: Settings):
    def pipeline(_recipe, **_rest):
        raise ZeroDivisionError("by zero")

    run = _run(store, settings, pipeline)
    assert (run.state, run.error) == (RunState.FAILED, "ZeroDivisionError: by zero")
    assert "Traceback" in store.events(run.id, kinds=[EventKind.LOG])[0].data["text"]


def test_work_that_looks_is_cancelled(store: Store, settings: Settings):
    def pipeline(_recipe, *, run_id, store, settings, reporter):
        store.request_cancel(run_id)
        while True:
            reporter.check_cancelled()
            threading.Event().wait(0.01)

    assert _run(store, settings, pipeline).state is RunState.CANCELLED


def test_ctrl_c_cancels(store: Store, settings: Settings):
    def pipeline(_recipe, **_rest):
        raise KeyboardInterrupt

    assert _run(store, settings, pipeline).state is RunState.CANCELLED


def test_only_a_queued_run_can_be_started(store: Store, settings: Settings):
    run = store.create_run(make_recipe())
    store.claim(run.id, "somebody")
    with pytest.raises(RunStateError, match="is running"):
        execute(run.id, settings=settings, store=store, console=False, pipeline=lambda *_a, **_k: [])
    assert store.run(run.id).worker == "somebody"


def test_events_that_cannot_be_written_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch):
    run = store.create_run(make_recipe())
    reporter = StoreReporter(store, run.id)
    reporter.log("one")

    def refuse(*_args):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "add_events", refuse)
        reporter.flush()
    reporter.log("two")
    reporter.flush()
    assert [event.data["text"] for event in store.events(run.id, kinds=[EventKind.LOG])] == ["one", "two"]


def test_progress_is_news_when_it_moves_or_turns_to_something_else():
    news = News(0.05)
    told = [
        (0.0, "Training, epoch 1"),
        (0.01, "Training, epoch 2"),
        (0.06, "Training, epoch 6"),
        (0.07, "Measuring"),
    ]
    assert [news.is_news(*progress) for progress in told] == [True, False, True, True]
