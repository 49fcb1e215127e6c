"""Artifacts that no device shall get any more: which, since when, and why."""

import time

from sqlalchemy import delete, insert, select

from slimcast.fleet_records import Withdrawal
from slimcast.store import tables
from slimcast.store.database import Rows

w = tables.withdrawals


class Withdrawals(Rows):
    """Rows of withdrawn artifacts; they hold for every site."""

    def add(self, artifact: str, name: str, reason: str) -> Withdrawal:
        """Withdraw an artifact; one that is withdrawn already keeps its time and gets the new reason."""
        known = self.get(artifact)
        at = known.at if known is not None else time.time()
        now = Withdrawal(artifact=artifact, name=name[:200], reason=reason[:600], at=at)
        with self._database.writing() as connection:
            connection.execute(delete(w).where(w.c.artifact == artifact))
            values = {"artifact": now.artifact, "name": now.name, "reason": now.reason, "at": now.at}
            connection.execute(insert(w).values(**values))
        return now

    def remove(self, artifact: str) -> bool:
        """Allow an artifact again; return whether it was withdrawn."""
        with self._database.writing() as connection:
            return connection.execute(delete(w).where(w.c.artifact == artifact)).rowcount > 0

    def get(self, artifact: str) -> Withdrawal | None:
        """Return what is known of an artifact's withdrawal, None where it is not withdrawn."""
        with self._database.reading() as connection:
            row = connection.execute(select(w).where(w.c.artifact == artifact)).one_or_none()
        return Withdrawal(**row._mapping) if row is not None else None

    def all(self) -> list[Withdrawal]:
        """Return all of them, the newest first."""
        with self._database.reading() as connection:
            found = connection.execute(select(w).order_by(w.c.at.desc(), w.c.artifact))
            return [Withdrawal(**row._mapping) for row in found]
