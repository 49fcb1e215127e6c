"""From rows to records and back; the statements that more than one operation needs."""

import dataclasses
import secrets
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from slimcast.errors import RunNotFound
from slimcast.records import Event, EventKind, Measurement, Run, RunState, Table, Variant
from slimcast.store import tables as t

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_TIME_DIGITS, _ID_RANDOM_DIGITS = 8, 2


def new_id(at: float) -> str:
    """Return an id that sorts by time: milliseconds in base 36 (8 digits, until 2059), 2 random digits."""
    number, digits = int(at * 1000), ""
    for _ in range(_ID_TIME_DIGITS):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits + "".join(secrets.choice(_DIGITS) for _ in range(_ID_RANDOM_DIGITS))


def to_run(row: Row[Any]) -> Run:
    """Make a record of a row of `tables.runs`."""
    values = dict(row._mapping)
    return Run(**values | {"state": RunState(values["state"])})


def to_event(row: Row[Any]) -> Event:
    """Make a record of a row of `tables.events`."""
    return Event(run_id=row.run_id, seq=row.seq, at=row.at, kind=EventKind(row.kind), data=row.data)


def to_table(event: Event) -> Table:
    """Make a record of an event of the kind ``table``."""
    data = event.data
    return Table(
        name=data["name"], columns=tuple(data["columns"]), rows=tuple(tuple(row) for row in data["rows"])
    )


def to_variants(rows: Iterable[Row[Any]], measured: Iterable[Row[Any]]) -> list[Variant]:
    """Make records of variants and of all their measurements."""
    figures: dict[tuple[str, str], list[Measurement]] = {}
    names = [field.name for field in dataclasses.fields(Measurement)]
    for row in measured:
        values = row._mapping
        one = Measurement(**{name: values[name] for name in names})
        figures.setdefault((values["run_id"], values["variant"]), []).append(one)
    return [
        Variant(**row._mapping, measurements=tuple(figures.get((row.run_id, row.name), ()))) for row in rows
    ]


def from_measurements(variant: Variant) -> list[dict[str, Any]]:
    """Return the rows of a variant's measurements, in their order."""
    return [
        {"run_id": variant.run_id, "variant": variant.name, "position": i} | dataclasses.asdict(measurement)
        for i, measurement in enumerate(variant.measurements)
    ]


def find_run(connection: Connection, id_or_prefix: str, *, lock: bool = False) -> Run:
    """Return the one run that has this id, or whose id begins so.

    Raises:
        RunNotFound: there is none, or more than one.
    """
    query = select(t.runs).where(t.runs.c.id == id_or_prefix)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is not None:
        return to_run(row)
    begins_so = t.runs.c.id.startswith(id_or_prefix, autoescape=True)
    found = connection.execute(select(t.runs).where(begins_so).order_by(t.runs.c.id.desc()).limit(4)).all()
    if not found or not id_or_prefix:
        raise RunNotFound(f"No run has the id {id_or_prefix!r}. `slimcast runs` lists those there are.")
    if len(found) > 1:
        some = ", ".join(row.id for row in found[:3]) + (", ..." if len(found) > 3 else "")
        raise RunNotFound(f"More than one run has an id that begins with {id_or_prefix!r}: {some}")
    return to_run(found[0])


def append_events(
    connection: Connection, run_id: str, events: Iterable[tuple[float, EventKind, dict[str, Any]]]
) -> None:
    """Add events behind the last one. The run's row must be locked (on SQLite the whole file is)."""
    last = connection.scalar(select(func.max(t.events.c.seq)).where(t.events.c.run_id == run_id)) or 0
    rows = [
        {"run_id": run_id, "seq": last + i, "at": at, "kind": kind.value, "data": data}
        for i, (at, kind, data) in enumerate(events, start=1)
    ]
    if rows:
        connection.execute(insert(t.events), rows)


def append_state(connection: Connection, run_id: str, state: RunState, reason: str = "") -> None:
    """Add the event that tells of a change of state."""
    append_events(
        connection, run_id, [(time.time(), EventKind.STATE, {"state": state.value, "reason": reason})]
    )
