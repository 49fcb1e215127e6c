"""A search at work: real processes, a real database, a pipeline that costs nothing (`support_search`)."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import support_search
from slimcast.errors import RunNotFound, RunStateError, StoreError
from slimcast.jobs.liveness import process_is_alive
from slimcast.records import EventKind, RunState, Search
from slimcast.search import SearchResult, parse_search
from slimcast.search.document import SearchDocument
from slimcast.search.processes import SearchProcesses
from slimcast.search.result import TrialEnd, result_of
from slimcast.search.run import enqueue, find_interrupted, run_search
from slimcast.settings import Settings
from slimcast.store import Store
from support_search import search_text
from support_store import make_settings
from support_wait import PATIENCE, wait_for

COMMAND = (sys.executable, support_search.__file__)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


def _search(settings: Settings, document: SearchDocument) -> tuple[Search, SearchResult]:
    store = Store.open(settings)  # as a process of its own would
    try:
        queued = enqueue(store, document)
        ended = run_search(queued.id, settings=settings, store=store, command=COMMAND)
        return ended, result_of(store.database_url, ended, document)
    finally:
        store.close()


class TestRows:
    def test_a_search_is_known_by_its_hash(self, store: Store):
        first = store.searches.enqueue("a", "h1", "one")
        again = store.searches.enqueue("a", "h1", "two")
        assert (again.id, again.search_yaml, again.state) == (first.id, "two", RunState.QUEUED)
        assert store.searches.enqueue("a", "h2", "one").id != first.id
        assert [search.search_hash for search in store.searches.newest()] == ["h2", "h1"]
        assert store.searches.get(first.id[:9] if len(store.searches.newest()) == 1 else first.id) == again
        with pytest.raises(RunNotFound, match="No search has the id 'x'"):
            store.searches.get("x")

    def test_one_works_on_it_and_nobody_else(self, store: Store):
        search = store.searches.enqueue("a", "h", "y")
        assert store.searches.claim(search.id, "here:1")
        assert not store.searches.claim(search.id, "here:2")
        with pytest.raises(RunStateError, match=r"running already \(here:1\)"):
            store.searches.enqueue("a", "h", "y")
        assert store.searches.heartbeat(search.id, "here:1", progress=0.5, activity="x")
        assert not store.searches.heartbeat(search.id, "here:2", progress=0.9, activity="x")
        assert not store.searches.finish(search.id, "here:2", RunState.FAILED)
        assert store.searches.finish(search.id, "here:1", RunState.SUCCEEDED)
        assert store.searches.get(search.id).progress == 0.5

    def test_cancel_is_seen_by_who_works_on_it(self, store: Store):
        search = store.searches.enqueue("a", "h", "y")
        assert store.searches.request_cancel(search.id).state is RunState.CANCELLED
        with pytest.raises(RunStateError, match="nothing to cancel"):
            store.searches.request_cancel(search.id)
        store.searches.enqueue("a", "h", "y")
        store.searches.claim(search.id, "w")
        assert store.searches.request_cancel(search.id).state is RunState.RUNNING
        assert not store.searches.heartbeat(search.id, "w", progress=0, activity="")

    def test_whose_process_is_gone_is_interrupted(self, store: Store):
        search = store.searches.enqueue("a", "h", "y")
        store.searches.claim(search.id, "w")
        assert store.searches.find_interrupted(silent_for_s=-1, unless=lambda _search: True) == []
        [lost] = store.searches.find_interrupted(silent_for_s=-1, unless=process_is_alive)
        assert (lost.id, lost.state) == (search.id, RunState.INTERRUPTED)
        assert "Start the search again" in lost.error


@pytest.mark.slow
class TestAtWork:
    def test_trials_are_runs_and_the_front_keeps_the_budgets(self, settings: Settings, store: Store):
        document = parse_search(search_text(trials="trials: 5"))
        search, result = _search(settings, document)
        assert search.state is RunState.SUCCEEDED
        assert (search.progress, len(result.trials)) == (1.0, 5)
        runs = {run.id: run for run in store.runs()}
        assert {trial.run for trial in result.trials} <= set(runs)
        assert result.front
        assert result.best_found is None
        for trial in result.trials:
            kept = trial.measured["size_bytes"] <= 100_000 and trial.measured["accuracy_drop"] <= 0.05
            assert trial.within_budgets == (kept and trial.end is TrialEnd.DONE)
            assert runs[trial.run].name == f"made-up-{trial.number:04d}"
        assert "Search succeeded" in (settings.logs_folder / f"{search.id}.log").read_text()

    def test_the_common_beginning_is_done_once(self, settings: Settings, store: Store):
        _search(settings, parse_search(search_text(trials="trials: 2")))
        second, first = store.runs()
        steps = store.events(second.id, kinds=[EventKind.STEP])
        assert (steps[0].data["index"], steps[0].data["status"]) == (0, "skipped")
        [told, *_] = store.events(second.id, kinds=[EventKind.LOG])
        assert first.id in told.data["text"]
        assert store.variants(second.id)[0].measurements == store.variants(first.id)[0].measurements

    def test_more_trials_go_on_where_it_ended(self, settings: Settings):
        first, before = _search(settings, parse_search(search_text(trials="trials: 2")))
        second, after = _search(settings, parse_search(search_text(trials="trials: 3")))
        assert first.id == second.id
        assert after.trials[:2] == before.trials
        assert len(after.trials) == 3

    def test_several_workers_share_one_study(self, settings: Settings, store: Store):
        one = _search(settings, parse_search(search_text(trials="trials: 4")))[1]
        text = search_text("other", trials="trials: 4", workers="workers: 3")
        several = _search(settings, parse_search(text))[1]
        assert [t.number for t in several.trials] == [0, 1, 2, 3]
        assert len({t.run for t in several.trials}) == 4
        assert [t.parameters for t in several.trials] == [t.parameters for t in one.trials]
        assert {t.number for t in several.front} == {t.number for t in one.front}

    def test_a_recipe_that_was_tried_is_not_run_again(self, settings: Settings, store: Store):
        text = search_text(trials="trials: 5").replace("low: 0.2, high: 0.8", "choices: [0.5]")
        text = text.replace("low: 0.0001, high: 0.01, log: true", "choices: [0.001]")
        _, result = _search(settings, parse_search(text))
        assert len(store.runs()) == 2  # with and without the last step
        assert len(result.trials) == 5
        assert "the same recipe as in trial" in result.trials[-1].reason
        assert len(result.front) == 1

    def test_nothing_within_the_budgets_leaves_the_best_found(self, settings: Settings):
        text = search_text(
            trials="trials: 3", budgets="budgets: {size_bytes: 1000}", objectives="objectives: [accuracy]"
        )
        _, result = _search(settings, parse_search(text))
        assert result.front == ()
        assert result.best_found is not None
        done = [t.measured["size_bytes"] for t in result.trials if t.end is TrialEnd.DONE]
        assert result.best_found.measured["size_bytes"] == min(done)

    def test_a_hopeless_run_is_stopped(self, settings: Settings, store: Store):
        text = search_text("points", trials="trials: 1").replace("[keep, drop]", "[keep]")
        search, result = _search(settings, parse_search(text))
        [trial] = result.trials
        assert search.state is RunState.SUCCEEDED
        assert trial.end is TrialEnd.STOPPED_EARLY
        assert "the budget asks for 90.00%" in trial.reason
        assert store.run(trial.run).state is RunState.CANCELLED

    def test_a_recipe_that_never_works_ends_the_search_in_a_sentence(self, settings: Settings):
        search, result = _search(settings, parse_search(search_text("broken", trials="trials: 50")))
        assert search.state is RunState.FAILED
        assert "the last one: This step never works." in search.error
        assert {trial.end for trial in result.trials} == {TrialEnd.FAILED}
        assert len(result.trials) == 3

    def test_cancel_stops_it_and_starting_it_again_finishes_it(self, settings: Settings, store: Store):
        document = parse_search(search_text("slow", trials="trials: 2", budgets="budgets: {}"))
        ended: list[tuple[Search, SearchResult]] = []
        thread = threading.Thread(target=lambda: ended.append(_search(settings, document)))
        thread.start()
        wait_for(
            lambda: any(run.state is RunState.RUNNING and store.checkpoints(run.id) for run in store.runs()),
            "a trial runs",
        )
        [search] = store.searches.newest()
        with pytest.raises(RunStateError, match="running already"):
            enqueue(store, document)
        store.searches.request_cancel(search.id)
        thread.join(timeout=60 * PATIENCE)
        assert ended[0][0].state is RunState.CANCELLED
        [open_trial] = ended[0][1].trials
        assert open_trial.end is TrialEnd.RUNNING
        (settings.home / "go").touch()
        again, result = _search(settings, document)
        assert again.state is RunState.SUCCEEDED
        assert [trial.end for trial in result.trials] == [TrialEnd.DONE, TrialEnd.DONE]
        assert result.trials[0].run == open_trial.run
        assert len(store.runs()) == 2


@pytest.mark.slow
class TestInTheBackground:
    @pytest.fixture
    def processes(self, settings: Settings, store: Store) -> Iterator[SearchProcesses]:
        processes = SearchProcesses(settings, store, command=COMMAND)
        processes.start()
        yield processes
        processes.stop()

    def _wait(self, store: Store, search_id: str, state: RunState) -> Search:
        wait_for(lambda: store.searches.get(search_id).state is state, f"the search is {state}")
        return store.searches.get(search_id)

    def test_it_is_started_and_ends_by_itself(self, processes: SearchProcesses, store: Store):
        started = processes.submit(parse_search(search_text(trials="trials: 1")))
        ended = self._wait(store, started.id, RunState.SUCCEEDED)
        assert ended.worker != ""
        assert len(store.runs()) == 1

    def test_stopping_the_studio_interrupts_it_and_it_can_be_resumed(
        self, processes: SearchProcesses, settings: Settings, store: Store
    ):
        text = search_text("slow", trials="trials: 1", budgets="budgets: {}")
        started = processes.submit(parse_search(text))
        wait_for(lambda: any(store.checkpoints(run.id) for run in store.runs()), "the trial runs")
        processes.stop()
        assert store.searches.get(started.id).state is RunState.INTERRUPTED
        assert [run.state for run in store.runs()] == [RunState.CANCELLED]
        (settings.home / "go").touch()
        processes.resume(started.id)
        self._wait(store, started.id, RunState.SUCCEEDED)
        assert [run.state for run in store.runs()] == [RunState.SUCCEEDED]

    def test_cancel(self, processes: SearchProcesses, store: Store):
        text = search_text("slow", trials="trials: 1", budgets="budgets: {}")
        started = processes.submit(parse_search(text))
        wait_for(lambda: any(store.checkpoints(run.id) for run in store.runs()), "the trial runs")
        processes.cancel(started.id)
        assert self._wait(store, started.id, RunState.CANCELLED).error == ""

    def test_a_process_that_cannot_begin_says_so(self, settings: Settings, store: Store):
        processes = SearchProcesses(settings, store, command=(sys.executable, "-c", "raise SystemExit(7)"))
        started = processes.submit(parse_search(search_text()))
        assert "code 7 before it began" in self._wait(store, started.id, RunState.FAILED).error
        absent = SearchProcesses(settings, store, command=("/no/such/program",))
        with pytest.raises(StoreError, match="could not be started"):
            absent.submit(parse_search(search_text()))
        assert store.searches.get(started.id).state is RunState.CANCELLED


@pytest.mark.slow
def test_a_killed_search_goes_on_with_the_run_that_outlived_it(settings: Settings, store: Store):
    document = parse_search(search_text("slow", trials="trials: 1", budgets="budgets: {}"))
    queued = enqueue(store, document)
    script = (
        "import sys\nfrom slimcast.search.run import run_search\nfrom slimcast.settings import Settings\n"
        "from slimcast.store import Store\nsettings = Settings.from_environment()\n"
        f"run_search({queued.id!r}, settings=settings, store=Store.open(settings), command={COMMAND!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ | settings.to_environment())
    with process:
        wait_for(lambda: any(store.checkpoints(run.id) for run in store.runs()), "the trial runs")
        process.send_signal(signal.SIGKILL)
    [lost] = find_interrupted(store)
    assert lost.state is RunState.INTERRUPTED
    [run] = store.runs()
    assert run.state is RunState.RUNNING  # its process is another one
    (settings.home / "go").touch()
    search, result = _search(settings, document)
    assert search.id == queued.id
    assert [(trial.run, trial.end) for trial in result.trials] == [(run.id, TrialEnd.DONE)]
    assert json.dumps(result.trials[0].measured)
