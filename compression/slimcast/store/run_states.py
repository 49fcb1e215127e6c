"""What becomes of a run: every change is one transaction, and what has finished stays as it is."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from slimcast.errors import RunStateError, StoreError
from slimcast.recipe import Recipe
from slimcast.records import Run, RunState
from slimcast.store import rows
from slimcast.store import tables as t
from slimcast.store.database import Database

_OPEN = (RunState.QUEUED, RunState.RUNNING)
_RESUMABLE = tuple(state for state in RunState if state.can_resume())


class RunStates:
    """Runs and their states. One object may be used from many threads.

    An object that has claimed a run changes it under that claim: when somebody else has declared the run
    interrupted meanwhile, and perhaps started it again, the late writer is refused.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims: dict[str, str] = {}

    def create(self, recipe: Recipe) -> Run:
        """Queue a recipe."""
        while True:
            now = time.time()
            run = Run(
                id=rows.new_id(now),
                name=recipe.name,
                recipe_yaml=recipe.to_yaml(),
                recipe_hash=recipe.hash,
                state=RunState.QUEUED,
                created_at=now,
            )
            try:
                with self._database.writing() as connection:
                    connection.execute(insert(t.runs).values(**_columns(run)))
                    rows.append_state(connection, run.id, RunState.QUEUED)
                return run
            except StoreError as error:
                if not isinstance(
                    error.__cause__, IntegrityError
                ):  # else: that id is taken, in this millisecond
                    raise

    def get(self, id_or_prefix: str) -> Run:
        """Return a run by its id, or by the beginning of it.

        Raises:
            RunNotFound: there is none, or more than one.
        """
        with self._database.reading() as connection:
            return rows.find_run(connection, id_or_prefix)

    def newest(self, *, limit: int = 50, offset: int = 0, state: RunState | None = None) -> list[Run]:
        """Return a page of runs, newest first, without deleted ones."""
        query = select(t.runs).where(t.runs.c.deleted_at.is_(None))
        query = query.order_by(t.runs.c.id.desc()).limit(limit).offset(offset)
        if state is not None:
            query = query.where(t.runs.c.state == state.value)
        with self._database.reading() as connection:
            return [rows.to_run(row) for row in connection.execute(query)]

    def count(self, state: RunState | None = None) -> int:
        """Return how many runs there are, without deleted ones, for paging."""
        query = select(func.count()).select_from(t.runs).where(t.runs.c.deleted_at.is_(None))
        if state is not None:
            query = query.where(t.runs.c.state == state.value)
        with self._database.reading() as connection:
            return connection.scalar(query) or 0

    def claim(self, run_id: str, worker: str) -> bool:
        """Take a queued run: of all that try, exactly one is told True."""
        now = time.time()
        change = update(t.runs).where(t.runs.c.id == run_id, t.runs.c.state == RunState.QUEUED.value)
        with self._database.writing() as connection:
            won = connection.execute(
                change.values(state=RunState.RUNNING.value, worker=worker, started_at=now, heartbeat_at=now)
            ).rowcount
            if won:
                rows.append_state(connection, run_id, RunState.RUNNING)
                self._claims[run_id] = worker
        return won == 1

    def heartbeat(self, run_id: str, *, progress: float | None = None, activity: str | None = None) -> bool:
        """Say that the work goes on. Return whether it may: not cancelled, still running, still ours."""
        values: dict[str, Any] = {"heartbeat_at": time.time()}
        if progress is not None:
            values["progress"] = progress
        if activity is not None:
            values["activity"] = activity
        with self._database.writing() as connection:
            ours = connection.execute(
                update(t.runs).where(*self._still_ours(run_id)).values(**values)
            ).rowcount
            return ours == 1 and not rows.find_run(connection, run_id).cancel_requested

    def finish(self, run_id: str, state: RunState, error: str = "") -> None:
        """End a queued or running run.

        Raises:
            RunStateError: it has ended already, or is not ours any more.
            RunNotFound: there is no such run.
        """
        if state in _OPEN:
            raise ValueError(f"A run cannot finish as {state}.")
        with self._database.writing() as connection:
            run = rows.find_run(connection, run_id, lock=True)
            claimed_by = self._claims.get(run_id, run.worker)
            if run.state not in _OPEN or run.worker != claimed_by:
                raise RunStateError(
                    f"Run {run.id} is {run.state} and cannot become {state}: its result was settled before."
                )
            values: dict[str, Any] = {"state": state.value, "error": error, "finished_at": time.time()}
            if state is RunState.SUCCEEDED:
                values |= {"progress": 1.0, "activity": ""}
            _set(connection, run.id, **values)
            rows.append_state(connection, run.id, state, error)
        self._claims.pop(run_id, None)

    def request_cancel(self, run_id: str) -> Run:
        """Cancel a run: at once when nobody works on it, else within seconds by whoever does.

        Raises:
            RunStateError: it has finished.
            RunNotFound: there is no such run.
        """
        with self._database.writing() as connection:
            run = rows.find_run(connection, run_id, lock=True)
            if run.state.is_finished():
                raise RunStateError(
                    f"Run {run.id} has already {_ended(run.state)}: there is nothing to cancel."
                )
            if run.state is RunState.RUNNING:
                _set(connection, run.id, cancel_requested=True)
            else:
                _set(connection, run.id, state=RunState.CANCELLED.value, finished_at=time.time(), error="")
                rows.append_state(connection, run.id, RunState.CANCELLED)
            return rows.find_run(connection, run.id)

    def requeue(self, run_id: str) -> Run:
        """Queue a failed, cancelled or interrupted run again; it goes on after its last checkpoint.

        Raises:
            RunStateError: it is queued or running, or has succeeded.
            RunNotFound: there is no such run.
        """
        with self._database.writing() as connection:
            run = rows.find_run(connection, run_id, lock=True)
            if run.state not in _RESUMABLE:
                raise RunStateError(
                    f"Run {run.id} is {run.state}. Only failed, cancelled or interrupted runs can be resumed."
                )
            _set(
                connection,
                run.id,
                state=RunState.QUEUED.value,
                error="",
                finished_at=None,
                heartbeat_at=None,
                cancel_requested=False,
                worker="",
            )
            rows.append_state(connection, run.id, RunState.QUEUED, "resumed")
            self._claims.pop(run.id, None)
            return rows.find_run(connection, run.id)

    def find_interrupted(
        self, *, silent_for_s: float = 10.0, unless: Callable[[Run], bool] = lambda run: False
    ) -> list[Run]:
        """End running runs whose worker has been silent: interrupted, or cancelled where that was asked for.

        Clocks of several workers must agree to within a few seconds.

        Args:
            silent_for_s: how long ago the last heartbeat must be.
            unless: knows better: a run for which it returns True goes on.

        """
        silent = (
            t.runs.c.state == RunState.RUNNING.value,
            t.runs.c.heartbeat_at < time.time() - silent_for_s,
        )
        with self._database.reading() as connection:
            found = connection.execute(select(t.runs).where(*silent))
            lost = [run.id for run in map(rows.to_run, found) if not unless(run)]
        if not lost:
            return []  # the usual case takes no write lock
        with self._database.writing() as connection:
            still = (*silent, t.runs.c.id.in_(lost))
            found = connection.execute(select(t.runs).where(*still).order_by(t.runs.c.id).with_for_update())
            return [_interrupt(connection, rows.to_run(row)) for row in found.all()]

    def check_writable(self, connection: Connection, run_id: str) -> None:
        """Refuse to change what a run leaves.

        Raises:
            RunStateError: it has finished, or is not ours any more.
            RunNotFound: there is no such run.
        """
        run = rows.find_run(connection, run_id, lock=True)
        if run.state.is_finished() or run.worker != self._claims.get(run_id, run.worker):
            raise RunStateError(f"Run {run.id} is {run.state}: its results do not change any more.")

    def _still_ours(self, run_id: str) -> tuple[Any, ...]:
        conditions = (t.runs.c.id == run_id, t.runs.c.state == RunState.RUNNING.value)
        worker = self._claims.get(run_id)
        return conditions if worker is None else (*conditions, t.runs.c.worker == worker)


def _columns(run: Run) -> dict[str, Any]:
    return {column.name: getattr(run, column.name) for column in t.runs.columns}


def _set(connection: Connection, run_id: str, **values: Any) -> None:
    connection.execute(update(t.runs).where(t.runs.c.id == run_id).values(**values))


def _interrupt(connection: Connection, run: Run) -> Run:
    silence_s = time.time() - (run.heartbeat_at or 0.0)
    if run.cancel_requested:
        state, reason = RunState.CANCELLED, ""
    else:
        state = RunState.INTERRUPTED
        reason = (
            f"Its process was silent for {silence_s:.0f} s. Resume it to go on after the last finished step."
        )
    _set(connection, run.id, state=state.value, error=reason, finished_at=time.time())
    rows.append_state(connection, run.id, state, reason)
    return rows.find_run(connection, run.id)


def _ended(state: RunState) -> str:
    return "been cancelled" if state is RunState.CANCELLED else state.value
