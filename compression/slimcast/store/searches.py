"""The searches: who works on one, how far it is, how it has ended. Their trials are runs."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from slimcast.errors import RunNotFound, RunStateError, StoreError
from slimcast.records import RunState, Search
from slimcast.store import rows
from slimcast.store.database import Rows
from slimcast.store.tables import searches as t

_ENDED = "Its process was silent for {:.0f} s. Start the search again to go on."


class Searches(Rows):
    """Rows of searches."""

    def enqueue(self, name: str, search_hash: str, search_yaml: str) -> Search:
        """Queue a search: a new one, or the one of this hash again, which then goes on.

        Raises:
            RunStateError: somebody works on it.
        """
        while True:
            try:
                with self._database.writing() as connection:
                    known = connection.execute(
                        select(t).where(t.c.search_hash == search_hash).with_for_update()
                    ).one_or_none()
                    if known is None:
                        return _insert(connection, name, search_hash, search_yaml)
                    return _again(connection, _to_search(known), search_yaml)
            except StoreError as error:
                if not isinstance(error.__cause__, IntegrityError):  # else: another was first with it
                    raise

    def get(self, id_or_prefix: str) -> Search:
        """Return a search by its id, or by the beginning of it.

        Raises:
            RunNotFound: there is none, or more than one.
        """
        with self._database.reading() as connection:
            return _find(connection, id_or_prefix)

    def newest(self, limit: int = 50) -> list[Search]:
        """Return the newest searches."""
        with self._database.reading() as connection:
            return [
                _to_search(row) for row in connection.execute(select(t).order_by(t.c.id.desc()).limit(limit))
            ]

    def claim(self, search_id: str, worker: str) -> bool:
        """Take a queued search: of all that try, exactly one is told True."""
        now = time.time()
        values = {"state": RunState.RUNNING.value, "worker": worker, "started_at": now, "heartbeat_at": now}
        return self._change(values, t.c.id == search_id, t.c.state == RunState.QUEUED.value)

    def heartbeat(self, search_id: str, worker: str, *, progress: float, activity: str) -> bool:
        """Say that the work goes on. Return whether it may: not cancelled, still running, still its own."""
        values = {"heartbeat_at": time.time(), "progress": progress, "activity": activity}
        ours = self._change(values, *_held(search_id, worker))
        return ours and not self.get(search_id).cancel_requested

    def finish(self, search_id: str, worker: str, state: RunState, error: str = "") -> bool:
        """End a search that this worker holds. Return False where it does not hold it any more."""
        values = {"state": state.value, "error": error, "finished_at": time.time(), "activity": ""}
        return self._change(values, *_held(search_id, worker))

    def request_cancel(self, search_id: str) -> Search:
        """Cancel a search: at once when nobody works on it, else within seconds by whoever does.

        Raises:
            RunStateError: it has ended already.
            RunNotFound: there is no such search.
        """
        with self._database.writing() as connection:
            found = _find(connection, search_id)
            if found.state is RunState.RUNNING:
                _set(connection, found.id, cancel_requested=True)
            elif found.state is RunState.QUEUED:
                _set(connection, found.id, state=RunState.CANCELLED.value, finished_at=time.time())
            else:
                raise RunStateError(f"Search {found.id} is {found.state}: there is nothing to cancel.")
            return _find(connection, found.id)

    def find_interrupted(self, *, silent_for_s: float, unless: Callable[[Search], bool]) -> list[Search]:
        """End searches whose process has been silent: interrupted, or cancelled where that was asked for."""
        before = time.time() - silent_for_s
        silent = (t.c.state == RunState.RUNNING.value, t.c.heartbeat_at < before)
        with self._database.reading() as connection:
            found = [_to_search(row) for row in connection.execute(select(t).where(*silent))]
        lost = []
        for search in found:
            if unless(search):
                continue
            state = RunState.CANCELLED if search.cancel_requested else RunState.INTERRUPTED
            reason = (
                "" if search.cancel_requested else _ENDED.format(time.time() - (search.heartbeat_at or 0.0))
            )
            if self.finish(search.id, search.worker, state, reason):
                lost.append(self.get(search.id))
        return lost

    def _change(self, values: dict[str, Any], *where: ColumnElement[bool]) -> bool:
        with self._database.writing() as connection:
            return connection.execute(update(t).where(*where).values(**values)).rowcount == 1


def _held(search_id: str, worker: str) -> tuple[ColumnElement[bool], ...]:
    return t.c.id == search_id, t.c.worker == worker, t.c.state == RunState.RUNNING.value


def _insert(connection: Connection, name: str, search_hash: str, search_yaml: str) -> Search:
    now = time.time()
    search = Search(
        id=rows.new_id(now),
        name=name,
        search_yaml=search_yaml,
        search_hash=search_hash,
        state=RunState.QUEUED,
        created_at=now,
    )
    connection.execute(
        insert(t).values(**{column.name: getattr(search, column.name) for column in t.columns})
    )
    return search


def _again(connection: Connection, search: Search, search_yaml: str) -> Search:
    if search.state is RunState.RUNNING:
        raise RunStateError(f"Search {search.id} is running already ({search.worker}).")
    _set(
        connection,
        search.id,
        state=RunState.QUEUED.value,
        search_yaml=search_yaml,
        error="",
        finished_at=None,
        heartbeat_at=None,
        cancel_requested=False,
        worker="",
    )
    return _find(connection, search.id)


def _set(connection: Connection, search_id: str, **values: Any) -> None:
    connection.execute(update(t).where(t.c.id == search_id).values(**values))


def _find(connection: Connection, id_or_prefix: str) -> Search:
    begins_so = t.c.id.startswith(id_or_prefix, autoescape=True)
    found = connection.execute(select(t).where(begins_so).order_by(t.c.id.desc()).limit(3)).all()
    if not found or not id_or_prefix:
        raise RunNotFound(f"No search has the id {id_or_prefix!r}.")
    if len(found) > 1:
        some = ", ".join(row.id for row in found)
        raise RunNotFound(f"More than one search has an id that begins with {id_or_prefix!r}: {some}")
    return _to_search(found[0])


def _to_search(row: Row[Any]) -> Search:
    values = dict(row._mapping)
    return Search(**values | {"state": RunState(values["state"])})
