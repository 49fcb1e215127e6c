"""The list of runs as people look through it: by page, text, state and tag; and runs put out of sight."""

import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from slimcast.errors import RunNotFound, RunStateError, StoreError
from slimcast.records import Run, RunState
from slimcast.store import rows
from slimcast.store import tables as t
from slimcast.store.database import Rows

MOST_TAGS = 12
_TAG = re.compile(r"[^\W_][\w .:+-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs are wanted.

    Attributes:
        text: part of their name, or the beginning of their id.
        states: one of these; any when empty.
        tag: they have it; "" for any.
        measured: whether a step must have left a variant.
        deleted: those that were deleted, instead of those that were not.
    """

    text: str = ""
    states: tuple[RunState, ...] = ()
    tag: str = ""
    measured: bool = False
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """A run in a list, with its tags in alphabetical order."""

    run: Run
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RunName:
    """What a box that offers many runs needs of each. `created_at`: Unix time, s."""

    id: str
    name: str
    created_at: float


class RunList(Rows):
    """Pages of runs, their tags, and deleting with a way back."""

    def page(self, wanted: RunFilter, *, limit: int = 50, offset: int = 0) -> list[ListedRun]:
        """Return a page of runs, newest first."""
        query = select(t.runs).where(_condition(wanted)).order_by(t.runs.c.id.desc())
        with self._database.reading() as connection:
            found = [rows.to_run(row) for row in connection.execute(query.limit(limit).offset(offset))]
            tags = _tags_of(connection, [run.id for run in found])
        return [ListedRun(run=run, tags=tuple(tags[run.id])) for run in found]

    def several(self, run_ids: Sequence[str]) -> list[Run]:
        """Return these runs in this order, deleted ones as well: one query, however many.

        Raises:
            RunNotFound: one of them does not exist.
        """
        with self._database.reading() as connection:
            query = select(t.runs).where(t.runs.c.id.in_(run_ids))
            found = {row.id: rows.to_run(row) for row in connection.execute(query)}
        missing = next((run_id for run_id in run_ids if run_id not in found), None)
        if missing is not None:
            raise RunNotFound(f"No run has the id {missing[:40]!r}. `slimcast runs` lists those there are.")
        return [found[run_id] for run_id in run_ids]

    def count(self, wanted: RunFilter) -> int:
        """Return how many runs there are, for paging."""
        with self._database.reading() as connection:
            query = select(func.count()).select_from(t.runs).where(_condition(wanted))
            return connection.scalar(query) or 0

    def names(self, wanted: RunFilter, *, limit: int) -> list[RunName]:
        """Return ids and names of the newest runs: a thousand of them take milliseconds."""
        r = t.runs.c
        query = select(r.id, r.name, r.created_at).where(_condition(wanted)).order_by(r.id.desc())
        with self._database.reading() as connection:
            return [RunName(**row._mapping) for row in connection.execute(query.limit(limit))]

    def tags(self) -> list[str]:
        """Return all tags that runs have, in alphabetical order."""
        tag = t.run_tags.c.tag
        with self._database.reading() as connection:
            return list(connection.scalars(select(tag).distinct().order_by(tag)))

    def tags_of(self, run_id: str) -> tuple[str, ...]:
        """Return a run's tags, in alphabetical order."""
        with self._database.reading() as connection:
            return tuple(_tags_of(connection, [run_id])[run_id])

    def set_tags(self, run_id: str, tags: Collection[str]) -> tuple[str, ...]:
        """Give a run these tags and no others; return them as they are kept.

        Raises:
            RunNotFound: there is no such run.
            StoreError: one of them cannot be a tag, or they are too many.
        """
        wanted = sorted({" ".join(tag.split()) for tag in tags} - {""})
        for tag in wanted:
            if not _TAG.fullmatch(tag):
                raise StoreError(
                    f"{tag[:60]!r} cannot be a tag. A tag has up to 40 letters, digits, spaces and .:+-_ "
                    "and begins with a letter or digit."
                )
        if len(wanted) > MOST_TAGS:
            raise StoreError(f"A run can have up to {MOST_TAGS} tags, not {len(wanted)}. Leave some out.")
        with self._database.writing() as connection:
            run = rows.find_run(connection, run_id, lock=True)
            connection.execute(delete(t.run_tags).where(t.run_tags.c.run_id == run.id))
            if wanted:
                connection.execute(insert(t.run_tags), [{"run_id": run.id, "tag": tag} for tag in wanted])
        return tuple(wanted)

    def delete(self, run_ids: Sequence[str]) -> list[Run]:
        """Put runs out of sight, all or none; nothing of them is lost, see `restore`.

        Raises:
            RunNotFound: there is no such run.
            RunStateError: one waits or runs.
        """
        with self._database.writing() as connection:
            found = [rows.find_run(connection, run_id, lock=True) for run_id in run_ids]
            for run in found:
                if run.state in {RunState.QUEUED, RunState.RUNNING}:
                    raise RunStateError(f"Run {run.id} is {run.state}. Cancel it before you delete it.")
            ids = [run.id for run in found]
            connection.execute(update(t.runs).where(t.runs.c.id.in_(ids)).values(deleted_at=time.time()))
        return found

    def restore(self, run_ids: Sequence[str]) -> None:
        """Bring deleted runs back; those that are not deleted stay as they are."""
        with self._database.writing() as connection:
            connection.execute(update(t.runs).where(t.runs.c.id.in_(list(run_ids))).values(deleted_at=None))


def _tags_of(connection: Connection, run_ids: list[str]) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
    if run_ids:
        query = select(t.run_tags).where(t.run_tags.c.run_id.in_(run_ids)).order_by(t.run_tags.c.tag)
        for run_id, tag in connection.execute(query):
            tags[run_id].append(tag)
    return tags


def _condition(wanted: RunFilter) -> ColumnElement[bool]:
    r = t.runs.c
    parts: list[ColumnElement[bool]] = [
        r.deleted_at.is_not(None) if wanted.deleted else r.deleted_at.is_(None)
    ]
    if wanted.text:
        by_name = r.name.icontains(wanted.text, autoescape=True)
        parts.append(or_(by_name, r.id.startswith(wanted.text, autoescape=True)))
    if wanted.states:
        parts.append(r.state.in_([state.value for state in wanted.states]))
    if wanted.tag:
        tagged = (t.run_tags.c.run_id == r.id, t.run_tags.c.tag == wanted.tag)
        parts.append(exists().where(*tagged))
    if wanted.measured:
        parts.append(exists().where(t.variants.c.run_id == r.id))
    return and_(*parts)
