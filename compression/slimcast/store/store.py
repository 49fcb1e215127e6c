"""The store: every change of a run is one transaction, and what has finished stays as it is."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, Self

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from slimcast.errors import RunStateError, StoreError
from slimcast.recipe import Recipe
from slimcast.records import Checkpoint, Event, EventKind, Run, RunState, Table, Variant
from slimcast.settings import Settings
from slimcast.store import rows
from slimcast.store import tables as t
from slimcast.store.alerts import Alerts
from slimcast.store.artifacts import ArtifactFiles
from slimcast.store.benchmarks import Benchmarks
from slimcast.store.database import Database
from slimcast.store.device_log import DeviceLog
from slimcast.store.devices import Devices
from slimcast.store.expulsions import Expulsions
from slimcast.store.freeing import Freeing
from slimcast.store.rollouts import Rollouts
from slimcast.store.run_list import RunList
from slimcast.store.searches import Searches
from slimcast.store.withdrawals import Withdrawals

_OPEN = (RunState.QUEUED, RunState.RUNNING)
_TABLES_AT_ONCE = 100
_RESUMABLE = tuple(state for state in RunState if state.can_resume())


class Store:
    """Runs, events, variants, checkpoints and artifacts. One object may be used from many threads.

    An object that has claimed a run writes to it under that claim: when somebody else has declared the run
    interrupted meanwhile, and perhaps started it again, the late writer is refused.

    Attributes:
        devices, device_log, alerts, rollouts, expulsions: what lasts of the fleet of one site.
    """

    def __init__(self, database: Database, artifacts: ArtifactFiles, site: str) -> None:
        self._database = database
        self.artifacts = artifacts
        self.searches = Searches(database)
        self.run_list = RunList(database)
        self.benchmarks = Benchmarks(database)
        self.devices, self.device_log = Devices(database, site), DeviceLog(database, site)
        self.alerts, self.rollouts = Alerts(database, site), Rollouts(database, site)
        self.freeing = Freeing(database, artifacts)
        self.withdrawals, self.expulsions = Withdrawals(database), Expulsions(database, site)
        self._claims: dict[str, str] = {}

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the store, and create what is missing: folders, tables, columns.

        Raises:
            StoreError: not writable, damaged, or made by a newer Slimcast.
        """
        artifacts = ArtifactFiles(settings.artifact_url, cache=settings.home / "cache" / "artifacts")
        try:
            settings.logs_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"Slimcast cannot write to {settings.home}: {error}. Make the folder writable, "
                "or set SLIMCAST_HOME to one that is."
            ) from error
        database = Database(settings.database_url)
        try:
            artifacts.prepare()
            database.prepare()
        except BaseException:
            database.close()
            raise
        return cls(database, artifacts, settings.site)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    @property
    def database_url(self) -> str:
        """Return the SQLAlchemy URL with its password, for who keeps tables of their own beside ours."""
        return self._database.url.render_as_string(hide_password=False)

    # --- runs

    def create_run(self, recipe: Recipe) -> Run:
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

    def run(self, id_or_prefix: str) -> Run:
        """Return a run by its id, or by the beginning of it.

        Raises:
            RunNotFound: there is none, or more than one.
        """
        with self._database.reading() as connection:
            return rows.find_run(connection, id_or_prefix)

    def runs(self, *, limit: int = 50, offset: int = 0, state: RunState | None = None) -> list[Run]:
        """Return a page of runs, newest first, without deleted ones."""
        query = select(t.runs).where(t.runs.c.deleted_at.is_(None))
        query = query.order_by(t.runs.c.id.desc()).limit(limit).offset(offset)
        if state is not None:
            query = query.where(t.runs.c.state == state.value)
        with self._database.reading() as connection:
            return [rows.to_run(row) for row in connection.execute(query)]

    def count_runs(self, state: RunState | None = None) -> int:
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

    # --- events

    def add_events(self, run_id: str, events: Iterable[tuple[float, EventKind, dict[str, Any]]]) -> None:
        """Add events (time, kind, data), all or none.

        Raises:
            RunNotFound: there is no such run.
        """
        with self._database.writing() as connection:
            run = rows.find_run(connection, run_id, lock=True)
            rows.append_events(connection, run.id, events)

    def events(
        self, run_id: str, *, after: int = 0, kinds: Collection[EventKind] | None = None, limit: int = 5000
    ) -> list[Event]:
        """Return a run's events behind number `after`, in their order."""
        query = select(t.events).where(t.events.c.run_id == run_id, t.events.c.seq > after)
        if kinds is not None:
            query = query.where(t.events.c.kind.in_([kind.value for kind in kinds]))
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(t.events.c.seq).limit(limit))
            return [rows.to_event(row) for row in found]

    # --- what a run leaves

    def save_table(self, run_id: str, table: Table) -> None:
        """Save what a step has found out; replaces the table of that name.

        Raises:
            RunNotFound: there is no such run.
        """
        self.add_events(run_id, [(time.time(), EventKind.TABLE, dataclasses.asdict(table))])

    def tables(self, run_id: str) -> list[Table]:
        """Return a run's tables, each as it was saved last, in the order of their names."""
        found: dict[str, Table] = {}
        after = 0
        while page := self.events(run_id, after=after, kinds=[EventKind.TABLE], limit=_TABLES_AT_ONCE):
            found |= {event.data["name"]: rows.to_table(event) for event in page}
            after = page[-1].seq
        return [found[name] for name in sorted(found)]

    def save_variant(self, variant: Variant) -> None:
        """Save a variant and its measurements; replaces the one of that name.

        Raises:
            RunStateError: the run has finished, or is not ours any more.
        """
        key = (t.variants.c.run_id == variant.run_id, t.variants.c.name == variant.name)
        with self._database.writing() as connection:
            self._check_writable(connection, variant.run_id)
            connection.execute(delete(t.variants).where(*key))  # its measurements go with it
            columns = {name: getattr(variant, name) for name in _names(t.variants)}
            connection.execute(insert(t.variants).values(**columns))
            if variant.measurements:
                connection.execute(insert(t.measurements), rows.from_measurements(variant))

    def variants(self, run_id: str) -> list[Variant]:
        """Return a run's variants, by step."""
        return self.variants_of([run_id])

    def variants_of(self, run_ids: Collection[str]) -> list[Variant]:
        """Return the variants of several runs, by run and step: two queries, however many runs."""
        v, m = t.variants.c, t.measurements.c
        order = (v.run_id, v.step, v.name)
        with self._database.reading() as connection:
            found = connection.execute(select(t.variants).where(v.run_id.in_(run_ids)).order_by(*order))
            measured = connection.execute(
                select(t.measurements).where(m.run_id.in_(run_ids)).order_by(m.run_id, m.variant, m.position)
            )
            return rows.to_variants(found, measured)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Save where a finished step can be taken up; replaces the one of that step.

        Raises:
            RunStateError: the run has finished, or is not ours any more.
        """
        c = t.checkpoints.c
        with self._database.writing() as connection:
            self._check_writable(connection, checkpoint.run_id)
            connection.execute(
                delete(t.checkpoints).where(c.run_id == checkpoint.run_id, c.step == checkpoint.step)
            )
            connection.execute(
                insert(t.checkpoints).values(
                    run_id=checkpoint.run_id, step=checkpoint.step, file=checkpoint.file
                )
            )

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """Return a run's checkpoints, by step."""
        query = select(t.checkpoints).where(t.checkpoints.c.run_id == run_id).order_by(t.checkpoints.c.step)
        with self._database.reading() as connection:
            return [Checkpoint(**row._mapping) for row in connection.execute(query)]

    # --- devices

    def next_revision(self, device: str) -> int:
        """Return a number that is larger than all before it for this device.

        It is at least the Unix time in seconds, so that a studio that lost its database does not fall behind.
        """
        d = t.device_revisions
        while True:
            try:
                with self._database.writing() as connection:
                    query = select(d.c.revision).where(d.c.device == device).with_for_update()
                    last = connection.scalar(query)
                    revision = max(int(time.time()), (last or 0) + 1)
                    if last is None:
                        connection.execute(insert(d).values(device=device, revision=revision))
                    else:
                        connection.execute(update(d).where(d.c.device == device).values(revision=revision))
                return revision
            except StoreError as error:
                if not isinstance(
                    error.__cause__, IntegrityError
                ):  # else: another was first with a new device
                    raise

    def _still_ours(self, run_id: str) -> tuple[Any, ...]:
        conditions = (t.runs.c.id == run_id, t.runs.c.state == RunState.RUNNING.value)
        worker = self._claims.get(run_id)
        return conditions if worker is None else (*conditions, t.runs.c.worker == worker)

    def _check_writable(self, connection: Connection, run_id: str) -> None:
        run = rows.find_run(connection, run_id, lock=True)
        if run.state.is_finished() or run.worker != self._claims.get(run_id, run.worker):
            raise RunStateError(f"Run {run.id} is {run.state}: its results do not change any more.")


def _names(table: t.Table) -> list[str]:
    return [column.name for column in table.columns]


def _columns(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _names(t.runs)}


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
