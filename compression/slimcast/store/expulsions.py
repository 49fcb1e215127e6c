"""Devices that a site has expelled: whatever comes under their names is not heard until they enrol again."""

import time

from sqlalchemy import delete, insert, select

from slimcast.store import tables
from slimcast.store.database import SiteRows

e = tables.expulsions


class Expulsions(SiteRows):
    """Rows of expelled names."""

    def add(self, device: str) -> None:
        """Expel a name; one that is expelled already keeps its time."""
        here = (e.c.site == self._site, e.c.device == device)
        with self._database.writing() as connection:
            if connection.execute(select(e).where(*here)).one_or_none() is None:
                connection.execute(insert(e).values(site=self._site, device=device, at=time.time()))

    def remove(self, device: str) -> bool:
        """Let a name in again; return whether it was expelled."""
        here = (e.c.site == self._site, e.c.device == device)
        with self._database.writing() as connection:
            return connection.execute(delete(e).where(*here)).rowcount > 0

    def names(self) -> list[str]:
        """Return all expelled names, in their order."""
        with self._database.reading() as connection:
            query = select(e.c.device).where(e.c.site == self._site).order_by(e.c.device)
            return list(connection.scalars(query))
