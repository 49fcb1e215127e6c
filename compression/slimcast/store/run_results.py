"""What a run leaves: events, tables, variants with their measurements, checkpoints."""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from slimcast.records import Checkpoint, Event, EventKind, Table, Variant
from slimcast.store import rows
from slimcast.store import tables as t
from slimcast.store.database import Database

_TABLES_AT_ONCE = 100


class RunResults:
    """Results of runs. One object may be used from many threads.

    `check_writable` refuses, within a transaction, to change what a run has left that is settled.
    """

    def __init__(self, database: Database, check_writable: Callable[[Connection, str], None]) -> None:
        self._database, self._check_writable = database, check_writable

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
            columns = {
                name: getattr(variant, name) for name in [column.name for column in t.variants.columns]
            }
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
