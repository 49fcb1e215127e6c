"""The devices of a site that have ever been seen: groups, labels, note, when. Kept until they are removed."""

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from slimcast.errors import FleetError, RolloutError
from slimcast.fleet_records import Baseline, KnownDevice, label_problems
from slimcast.store import tables
from slimcast.store.database import SiteRows

_OF_NOW = (tables.label_counts, tables.alerts)
t = tables.devices


class Devices(SiteRows):
    """Rows of devices."""

    def all(self) -> list[KnownDevice]:
        """Return all devices, by name."""
        query = select(t).where(t.c.site == self._site).order_by(t.c.name)
        with self._database.reading() as connection:
            return [_to_device(row) for row in connection.execute(query)]

    def get(self, name: str) -> KnownDevice:
        """Return a device.

        Raises:
            FleetError: it has never been seen.
        """
        with self._database.reading() as connection:
            return self._find(connection, name)

    def seen(self, times: dict[str, float]) -> None:
        """Note when devices were last heard of (Unix times, s; 0 for not yet); new ones are added."""
        with self._database.writing() as connection:
            known = set(connection.scalars(select(t.c.name).where(t.c.site == self._site)))
            for name, at in times.items():
                if name in known:
                    here = (*self._here(name), t.c.last_seen < at)
                    connection.execute(update(t).where(*here).values(last_seen=at))
                else:
                    row: dict[str, Any] = {"groups": [], "labels": [], "note": "", "baseline": None}
                    first = at or time.time()
                    connection.execute(
                        insert(t).values(site=self._site, name=name, first_seen=first, last_seen=at, **row)
                    )

    def describe(self, name: str, *, groups: Iterable[str], labels: Iterable[str], note: str) -> KnownDevice:
        """Replace a device's groups, labels and note.

        Raises:
            FleetError: it has never been seen.
            RolloutError: a group or label is written in a way that cannot be kept.
        """
        kept = _tidy(groups), _tidy(labels), note.strip()
        if problems := label_problems(*kept):
            raise RolloutError(" ".join(problems))
        with self._database.writing() as connection:
            self._find(connection, name)
            values = {"groups": list(kept[0]), "labels": list(kept[1]), "note": kept[2]}
            connection.execute(update(t).where(*self._here(name)).values(**values))
            return self._find(connection, name)

    def set_baseline(self, name: str, baseline: Baseline) -> None:
        """Note how fast a device is with a new model."""
        with self._database.writing() as connection:
            values = {"baseline": dataclasses.asdict(baseline)}
            connection.execute(update(t).where(*self._here(name)).values(**values))

    def remove(self, name: str) -> None:
        """Forget a device and all that was noted of it. Its revision is kept: it must never fall back.

        Raises:
            FleetError: it has never been seen.
        """
        self._drop(name, tables.device_history, *_OF_NOW)

    def expel(self, name: str) -> None:
        """Forget a device, but keep what it ran; else like `remove`."""
        self._drop(name, *_OF_NOW)

    def _drop(self, name: str, *of_it: tables.Table) -> None:
        with self._database.writing() as connection:
            self._find(connection, name)
            for table in of_it:
                mine = (table.c.site == self._site, table.c.device == name)
                connection.execute(delete(table).where(*mine))
            connection.execute(delete(t).where(*self._here(name)))

    def _here(self, name: str) -> tuple[Any, ...]:
        return t.c.site == self._site, t.c.name == name

    def _find(self, connection: Connection, name: str) -> KnownDevice:
        row = connection.execute(select(t).where(*self._here(name))).one_or_none()
        if row is None:
            known = connection.scalars(select(t.c.name).where(t.c.site == self._site).order_by(t.c.name))
            names = ", ".join(known) or "none"
            raise FleetError(f"No device {name[:80]!r} is known at site {self._site!r}. Known: {names}.")
        return _to_device(row)


def _tidy(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({word.strip() for word in words if word.strip()}))


def _to_device(row: Row[Any]) -> KnownDevice:
    values = {name: value for name, value in row._mapping.items() if name != "site"}
    for name in ("groups", "labels"):
        values[name] = tuple(values[name])
    values["baseline"] = Baseline(**values["baseline"]) if values["baseline"] else None
    return KnownDevice(**values)
