"""The queue: a Dask cluster, embedded or real, whose tasks start and watch the runs' processes. No torch."""

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any

from distributed import Client, LocalCluster, get_worker
from distributed.core import Status

from slimcast.errors import StoreError
from slimcast.jobs.liveness import process_is_alive
from slimcast.jobs.process import COMMAND, run_in_process
from slimcast.recipe import Recipe
from slimcast.records import EventKind, Run, RunState
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast_edge.errors import SettingsError

_SWEEP_S = 2.0
_CONNECT_TIMEOUT_S = 5
_logger = logging.getLogger(__name__)


class JobQueue:
    """Runs recipes one after the other (embedded), or as many at a time as the cluster has threads.

    The rows in the store are the truth; the cluster only decides where and when. So a run that is queued when
    the queue starts is submitted again, and one whose process has died in between is marked interrupted.

    Args:
        settings: handed on to the processes.
        store: where the runs are.
        silent_for_s: a running run whose heartbeat is older than this has lost its process, unless that is
            seen to live on this machine.
        command: what is started for a run, before ``run --run-id ID``.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        silent_for_s: float = 10.0,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._silent_for_s, self._command = silent_for_s, tuple(command)
        self._settings, self._store = settings, store
        self._cluster: LocalCluster | None = None
        self._client: Client | None = None
        self._futures: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="job-sweeper", daemon=True)

    def start(self) -> None:
        """Connect to the cluster, tell what was interrupted, and submit what is queued.

        Raises:
            SettingsError: SLIMCAST_DASK_SCHEDULER names no scheduler that answers.
        """
        address = self._settings.dask_scheduler
        if not address:
            self._cluster = LocalCluster(
                processes=False,
                n_workers=1,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # None would mean port 8787 on every interface
                memory_limit=0,  # its threads only watch; the jobs are processes of their own
                silence_logs=logging.ERROR,
            )
        try:
            self._client = Client(self._cluster or address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"No Dask scheduler answers at SLIMCAST_DASK_SCHEDULER={address} ({error}). "
                "Start one with `dask scheduler`, or leave the variable empty for the embedded one."
            ) from error
        self._mark_interrupted()
        for run in self._all_queued():
            told = {"text": "Submitted again as the queue started.", "level": "info"}
            self._store.add_events(run.id, [(time.time(), EventKind.LOG, told)])
            self._submit(run.id)
        self._sweeper.start()

    def submit(self, recipe: Recipe) -> Run:
        """Queue a recipe."""
        run = self._store.create_run(recipe)
        self._submit(run.id)
        return run

    def cancel(self, run_id: str) -> Run:
        """Cancel a run; see `Store.request_cancel`."""
        return self._store.request_cancel(run_id)

    def resume(self, run_id: str) -> Run:
        """Queue a failed, cancelled or interrupted run again; see `Store.requeue`."""
        run = self._store.requeue(run_id)
        self._submit(run.id)
        return run

    def stop(self) -> None:
        """Stop. Embedded: the running job ends as interrupted. On a real cluster jobs go on without us."""
        self._stopping.set()
        if self._sweeper.is_alive():
            self._sweeper.join()
        with self._lock:
            futures, self._futures = self._futures, {}
        if self._cluster is None:
            from distributed import fire_and_forget

            fire_and_forget(list(futures.values()))
        futures.clear()
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close(timeout=15)

    def _submit(self, run_id: str) -> None:
        if self._client is None:
            raise StoreError("The job queue has not been started.")
        environment = self._settings.to_environment()
        key = f"slimcast-{run_id}-{uuid.uuid4().hex[:8]}"  # a resumed run is a new task
        task = (_run_task, run_id, environment, self._command)
        future = self._client.submit(*task, key=key, pure=False, retries=0)
        with self._lock:
            self._futures = {k: f for k, f in self._futures.items() if not f.done()}
            self._futures[run_id] = future  # Dask forgets a task whose future is gone

    def _all_queued(self) -> list[Run]:
        queued = self._store.runs(state=RunState.QUEUED, limit=self._store.count_runs(RunState.QUEUED) + 1)
        return sorted(queued, key=lambda run: run.id)

    def _mark_interrupted(self) -> None:
        for run in self._store.find_interrupted(silent_for_s=self._silent_for_s, unless=process_is_alive):
            _logger.warning("Run %s (%s) is %s: %s", run.id, run.name, run.state, run.error)

    def _sweep(self) -> None:
        """Find runs whose process died with nobody watching it, such as those of an app that was killed."""
        last = time.monotonic()
        while not self._stopping.wait(_SWEEP_S):
            # After a machine has slept every heartbeat is old; its process gets a round to beat again.
            slept, last = time.monotonic() - last > 2 * _SWEEP_S, time.monotonic()
            if slept:
                continue
            try:
                self._mark_interrupted()
            except StoreError as error:
                _logger.warning("Looking for interrupted runs: %s", error)


def _run_task(run_id: str, environment: dict[str, str], command: tuple[str, ...]) -> None:
    """Run one job: the task that a Dask worker executes, in a thread."""
    settings = Settings.from_environment(environment)
    worker = get_worker()
    store = Store.open(settings)
    try:
        run_in_process(
            run_id,
            settings=settings,
            store=store,
            command=command,
            should_stop=lambda: worker.status in {Status.closing, Status.closing_gracefully, Status.closed},
        )
    finally:
        store.close()
