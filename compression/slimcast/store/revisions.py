"""Numbers of orders: a device obeys the highest, so they only grow."""

import time

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from slimcast.errors import StoreError
from slimcast.store import tables as t
from slimcast.store.database import Rows


class Revisions(Rows):
    """The counter of each device, shared by all studios with this database."""

    def next(self, device: str) -> int:
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
