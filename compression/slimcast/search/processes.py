"""One process for each search that the studio starts: started, watched, and its end put down truthfully."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

from slimcast.errors import StoreError
from slimcast.jobs.liveness import process_is_alive
from slimcast.records import RunState, Search
from slimcast.search.document import SearchDocument
from slimcast.search.parse import parse_search
from slimcast.search.run import enqueue, find_interrupted
from slimcast.settings import Settings
from slimcast.store import Store

COMMAND = (sys.executable, "-m", "slimcast")
_STOP_GRACE_S = 8.0  # its runs are given their own time to stop
_logger = logging.getLogger(__name__)


class SearchProcesses:
    """Starts searches beside the queue, whose place a search would hold for hours.

    Args:
        settings: handed on to the processes.
        store: where the searches are.
        command: what is started, before ``search --search-id ID``.
    """

    def __init__(self, settings: Settings, store: Store, *, command: Sequence[str] = COMMAND) -> None:
        self._settings, self._store, self._command = settings, store, tuple(command)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Tell of searches whose process died while nobody watched."""
        for search in find_interrupted(self._store):
            _logger.warning("Search %s (%s) is %s: %s", search.id, search.name, search.state, search.error)

    def submit(self, document: SearchDocument) -> Search:
        """Start a search; one of the same hash goes on where it has stopped.

        Raises:
            RunStateError: it is running already.
            StoreError: its process cannot be started.
        """
        search = enqueue(self._store, document)
        log = self._settings.logs_folder / f"{search.id}.log"
        environment = os.environ | self._settings.to_environment() | {"PYTHONUNBUFFERED": "1"}
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as errors:
                process = subprocess.Popen(
                    [*self._command, "search", "--search-id", search.id],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=environment,
                    start_new_session=True,  # Ctrl-C in the app's terminal is not meant for it
                )
        except OSError as error:
            self._store.searches.request_cancel(search.id)
            raise StoreError(f"The process of the search could not be started: {error}") from error
        thread = threading.Thread(
            target=self._watch, args=(search.id, process), name=f"search-{search.id}", daemon=True
        )
        with self._lock:
            self._processes[search.id] = process
            self._threads.append(thread)
        thread.start()
        return search

    def resume(self, search_id: str) -> Search:
        """Start a search again that has ended; it goes on where it has stopped.

        Raises:
            RunStateError: it is running. RunNotFound: there is no such search.
            SearchError: it was made by another version, and is no valid search any more.
        """
        return self.submit(parse_search(self._store.searches.get(search_id).search_yaml))

    def cancel(self, search_id: str) -> Search:
        """Cancel a search; see `Searches.request_cancel`."""
        return self._store.searches.request_cancel(search_id)

    def stop(self) -> None:
        """Have all searches end as interrupted, and wait until they have."""
        with self._lock:
            processes, threads = dict(self._processes), list(self._threads)
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            try:
                process.wait(_STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
        for thread in threads:
            thread.join(_STOP_GRACE_S)

    def _watch(self, search_id: str, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self._lock:
            self._processes.pop(search_id, None)
            self._threads.remove(threading.current_thread())
        try:
            self._settle(search_id, code)
        except StoreError as error:
            _logger.warning("The end of search %s could not be noted: %s", search_id, error)

    def _settle(self, search_id: str, code: int) -> None:
        """Put down the end of a process that could not say so itself."""
        search = self._store.searches.get(search_id)
        if search.state is RunState.RUNNING and not process_is_alive(search):
            find_interrupted(self._store)
        elif search.state is RunState.QUEUED:
            worker = f"process {code}"
            if self._store.searches.claim(search_id, worker):
                reason = f"Its process ended with code {code} before it began; see the log."
                self._store.searches.finish(search_id, worker, RunState.FAILED, reason)
