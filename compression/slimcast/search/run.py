"""The work of a search, in the process that it has for itself: workers, heartbeat, log, and its end."""

import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from optuna.trial import Trial

from slimcast.errors import RunStateError, StoreError
from slimcast.jobs.liveness import process_is_alive, worker_name
from slimcast.jobs.process import COMMAND
from slimcast.records import RunState, Search
from slimcast.reporting import Reporter, SilentReporter
from slimcast.search.document import SearchDocument
from slimcast.search.log import SearchLog
from slimcast.search.parse import parse_search
from slimcast.search.study import open_storage, open_study
from slimcast.search.trial import Bench, work_on
from slimcast.settings import Settings
from slimcast.store import Store

_POLL_S = 0.2
_HEARTBEAT_S = 1.0
_SILENT_S = 30.0
_FAILURES = 3
_CHOSEN_ON_TEST_IMAGES = (
    "The recipe holds back no validation split (data.validation): trials are chosen by their accuracy on "
    "test images, so that of the best ones is flattering."
)
"""So many trials of each worker may fail while none succeeds: then the recipe is wrong, not the luck."""


def enqueue(store: Store, document: SearchDocument) -> Search:
    """Queue a search; one of the same hash goes on where it has stopped.

    Raises:
        RunStateError: it is running.
    """
    find_interrupted(store)
    return store.searches.enqueue(document.name, document.hash, document.to_yaml())


def find_interrupted(store: Store) -> list[Search]:
    """End searches whose process is gone: at once on this machine, after half a minute on another one."""
    return store.searches.find_interrupted(silent_for_s=0.0, unless=_lives)


def _lives(search: Search) -> bool:
    if search.worker.rpartition(":")[0] == socket.gethostname():
        return process_is_alive(search)
    return time.time() - (search.heartbeat_at or 0.0) < _SILENT_S


def run_search(
    search_id: str,
    *,
    settings: Settings,
    store: Store,
    console: Reporter | None = None,
    command: Sequence[str] = COMMAND,
) -> Search:
    """Do what is left of a queued search, and return it as it has ended.

    Ctrl-C and a cancel end it as cancelled, SIGTERM as interrupted; started again it goes on.

    Args:
        search_id: the search.
        settings: handed on to the runs' processes.
        store: where runs and searches are.
        console: where the log is shown as well.
        command: what is started for a run, before ``run --run-id ID``.

    Raises:
        RunStateError: somebody else has it, or it is not queued.
        SearchError: it was made by another version, and is no valid search any more.
    """
    worker = worker_name()
    if not store.searches.claim(search_id, worker):
        state = store.searches.get(search_id).state
        raise RunStateError(f"Search {search_id} is {state}: only a queued one can be started.")
    work = _Work(store.searches.get(search_id), worker, store)
    with SearchLog(settings.logs_folder / f"{search_id}.log", console or SilentReporter()) as log:
        try:
            state, error = work.run(settings, log, command)
        except Exception as failure:  # the row must not say "running" for ever
            log.log(traceback.format_exc(), "error")
            state, error = RunState.FAILED, str(failure)
        log.log(f"Search {state}{f': {error}' if error else ''}", "error" if error else "info")
    store.searches.finish(search_id, worker, state, error)
    return store.searches.get(search_id)


class _Work:
    """Workers that share a study, and whoever watches over them."""

    def __init__(self, search: Search, worker: str, store: Store) -> None:
        self._search, self._worker, self._store = search, worker, store
        self._document = parse_search(search.search_yaml)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._signal: int | None = None
        self._error = ""
        self._open: list[int] = []

    def run(self, settings: Settings, log: SearchLog, command: Sequence[str]) -> tuple[RunState, str]:
        storage = open_storage(self._store.database_url)
        try:
            study = open_study(storage, self._search, self._document)
            self._bench = Bench(
                document=self._document,
                study=study,
                settings=settings,
                store=self._store,
                reporter=log,
                stopping=self._stopping.is_set,
                command=command,
            )
            trials = study.get_trials(deepcopy=False)
            self._open = [trial._trial_id for trial in trials if not trial.state.is_finished()]
            self._say_start(len(trials))
            with self._signals():
                cancelled = self._watch_workers()
        finally:
            storage.engine.dispose()
        return self._end(cancelled)

    def _say_start(self, known: int) -> None:
        text = f"{self._document.trials} trials, {self._document.workers} at a time"
        if known:
            text += f"; {known - len(self._open)} are there already"
        if self._open:
            text += f", {len(self._open)} are taken up again"
        self._bench.reporter.log(text)
        data = self._document.recipe.get("data")
        if (
            not (isinstance(data, dict) and data.get("validation"))
            and "data.validation" not in self._document.space
        ):
            self._bench.reporter.log(_CHOSEN_ON_TEST_IMAGES, "warning")

    def _watch_workers(self) -> bool:
        """Start the workers and stay until they have ended. Return whether somebody has cancelled."""
        names = [f"search-worker-{index}" for index in range(self._document.workers)]
        threads = [threading.Thread(target=self._worker_loop, name=name) for name in names]
        for thread in threads:
            thread.start()
        cancelled, next_beat = False, 0.0
        while any(thread.is_alive() for thread in threads):
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + _HEARTBEAT_S
                if not self._beat() and not self._stopping.is_set():
                    cancelled = True
                    self._stopping.set()
            for thread in threads:
                thread.join(_POLL_S / len(threads))
        self._beat()
        return cancelled

    def _beat(self) -> bool:
        trials = self._bench.study.get_trials(deepcopy=False)
        done = sum(trial.state.is_finished() for trial in trials)
        activity = f"{done} of {self._document.trials} trials, {len(trials) - done} running"
        fraction = min(1.0, done / self._document.trials)
        self._bench.reporter.progress(fraction, activity)
        try:
            return self._store.searches.heartbeat(
                self._search.id, self._worker, progress=fraction, activity=activity
            )
        except StoreError:
            return True  # a database that is away for a moment is no reason to stop the work

    def _worker_loop(self) -> None:
        try:
            while (trial := self._next_trial()) is not None:
                work_on(self._bench, trial)
                self._stop_if_all_fail()
        except Exception as error:  # one worker's defect ends the search, in a sentence
            self._bench.reporter.log(traceback.format_exc(), "error")
            self._error = self._error or f"{type(error).__name__}: {error}"
            self._stopping.set()

    def _next_trial(self) -> Trial | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            if self._open:
                return Trial(self._bench.study, self._open.pop(0))
            if len(self._bench.study.get_trials(deepcopy=False)) >= self._document.trials:
                return None
            return self._bench.study.ask()

    def _stop_if_all_fail(self) -> None:
        ended = [trial for trial in self._bench.study.get_trials(deepcopy=False) if trial.state.is_finished()]
        failed = [trial for trial in ended if trial.user_attrs.get("failed")]
        if len(failed) >= _FAILURES * self._document.workers and len(failed) == len(ended):
            reason = failed[-1].user_attrs.get("reason", "")
            self._error = f"All of the first {len(failed)} trials failed; the last one: {reason}"
            self._stopping.set()

    def _end(self, cancelled: bool) -> tuple[RunState, str]:
        if self._error:
            return RunState.FAILED, self._error
        if cancelled or self._signal == signal.SIGINT:
            return RunState.CANCELLED, ""
        if self._signal is not None:
            return RunState.INTERRUPTED, "Its process was asked to end. Start the search again to go on."
        return RunState.SUCCEEDED, ""

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Have Ctrl-C and SIGTERM stop the search in order; elsewhere than in the main thread do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, _frame: FrameType | None) -> None:
            self._signal = self._signal or number
            self._stopping.set()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
