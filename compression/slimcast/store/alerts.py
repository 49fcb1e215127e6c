"""Alerts of a site: at most one of a kind is open for a device; resolved ones are kept for a while."""

import time
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from slimcast.errors import RunNotFound
from slimcast.fleet_records import Alert, AlertKind
from slimcast.store import tables
from slimcast.store.database import SiteRows

KEPT_S = 30 * 86400.0
t = tables.alerts


class Alerts(SiteRows):
    """Rows of alerts."""

    def open(self) -> list[Alert]:
        """Return what is not resolved, the oldest first."""
        return self._select(t.c.resolved_at.is_(None))

    def newest(self, limit: int = 50) -> list[Alert]:
        """Return the newest alerts, open or not, the last one first."""
        query = select(t).where(t.c.site == self._site).order_by(t.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_to_alert(row) for row in connection.execute(query)]

    def raise_(self, device: str, kind: AlertKind, message: str, at: float) -> None:
        """Open an alert, or bring the message of the open one up to date."""
        here = self._open_here(device, kind)
        with self._database.writing() as connection:
            if connection.execute(update(t).where(*here).values(message=message)).rowcount:
                return
            values = {"device": device, "kind": kind.value, "message": message, "opened_at": at}
            connection.execute(insert(t).values(site=self._site, **values))

    def resolve(self, device: str, kind: AlertKind, at: float) -> None:
        """Close the open alert, if there is one."""
        with self._database.writing() as connection:
            connection.execute(update(t).where(*self._open_here(device, kind)).values(resolved_at=at))

    def acknowledge(self, alert_id: int) -> None:
        """Note that somebody knows.

        Raises:
            RunNotFound: there is no such alert.
        """
        here = (t.c.site == self._site, t.c.id == alert_id)
        with self._database.writing() as connection:
            if not connection.execute(update(t).where(*here).values(acknowledged_at=time.time())).rowcount:
                raise RunNotFound(f"No alert has the number {alert_id}. `slimcast alerts` lists them.")

    def drop_old(self, now: float) -> None:
        """Drop what was resolved long ago; `now` is a Unix time, s."""
        with self._database.writing() as connection:
            connection.execute(delete(t).where(t.c.site == self._site, t.c.resolved_at < now - KEPT_S))

    def _open_here(self, device: str, kind: AlertKind) -> tuple[Any, ...]:
        mine = (t.c.site == self._site, t.c.device == device, t.c.kind == kind.value)
        return (*mine, t.c.resolved_at.is_(None))

    def _select(self, *where: Any) -> list[Alert]:
        query = select(t).where(t.c.site == self._site, *where).order_by(t.c.id)
        with self._database.reading() as connection:
            return [_to_alert(row) for row in connection.execute(query)]


def _to_alert(row: Row[Any]) -> Alert:
    values = {name: value for name, value in row._mapping.items() if name != "site"}
    return Alert(**values | {"kind": AlertKind(values["kind"])})
