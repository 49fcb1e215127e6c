"""Deletes runs for good, and those of their files that nothing else refers to.

A run that was deleted stays until this is asked for, so that it can come back. What a device runs, ran before
it or is ordered to run, what a roll-out could bring back, and what another run begins with is never removed.
"""

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from slimcast.errors import RunStateError, StoreError
from slimcast.records import RunState
from slimcast.store import tables as t
from slimcast.store.artifacts import ArtifactFiles
from slimcast.store.database import Database

_MODELS_OF_A_DEVICE = 2
"""The newest ones that each device has run: it keeps as many itself, to go back to."""
_NAMED = re.compile(r"run:([A-Za-z0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Freeable:
    """What can be freed, or has been.

    Attributes:
        runs: deleted runs that go for good. files: theirs that nothing else uses, by sha256.
        size_bytes: of those files together.
        needed: deleted runs that stay, since another run's recipe, or a search's, names them.
        shared: files of the runs that go which stay, since something else uses them.
    """

    runs: tuple[str, ...]
    files: tuple[str, ...]
    size_bytes: int
    needed: tuple[str, ...]
    shared: int


class Freeing:
    """Looks for what deleted runs hold, and lets go of it. One object may be used from many threads."""

    def __init__(self, database: Database, artifacts: ArtifactFiles) -> None:
        self._database, self._artifacts = database, artifacts

    def look(self, deleted_before: float, in_use: Collection[str] = ()) -> Freeable:
        """Return what `free` would let go of now."""
        with self._database.reading() as connection:
            return self._plan(connection, deleted_before, in_use)

    def free(self, deleted_before: float, in_use: Collection[str] = ()) -> Freeable:
        """Delete for good what was deleted before a Unix time (s), and return what went.

        Args:
            deleted_before: later ones can still come back.
            in_use: artifacts (sha256) that are deployed or ordered, beside what the store knows of.

        Raises:
            RunStateError: a run is at work: it may just be storing a file that is the same as one of these.
            StoreError: a file cannot be removed; asked again, it goes on.
        """
        with self._database.writing() as connection:
            busy = connection.scalar(select(t.runs.c.id).where(t.runs.c.state == RunState.RUNNING.value))
            if busy is not None:
                raise RunStateError(f"Run {busy} is at work. Free the disk when no run is, or cancel it.")
            plan = self._plan(connection, deleted_before, in_use)
            # Files first: what is cut short here leaves rows that are found again.
            for sha256 in plan.files:
                self._artifacts.remove(sha256)
            connection.execute(delete(t.runs).where(t.runs.c.id.in_(plan.runs)))  # the rest goes with them
        return plan

    def _plan(self, connection: Connection, deleted_before: float, in_use: Collection[str]) -> Freeable:
        deleted = select(t.runs.c.id).where(t.runs.c.deleted_at < deleted_before).order_by(t.runs.c.id)
        candidates = list(connection.scalars(deleted))
        needed = _needed(connection, candidates)
        going = [run_id for run_id in candidates if run_id not in needed]
        theirs = _files(connection, going, theirs=True)
        used = _files(connection, going, theirs=False) | _deployed(connection) | set(in_use)
        sizes = {sha256: self._size(sha256) for sha256 in sorted(theirs - used)}
        return Freeable(
            runs=tuple(going),
            files=tuple(sha256 for sha256, size in sizes.items() if size is not None),
            size_bytes=sum(size or 0 for size in sizes.values()),
            needed=tuple(sorted(needed)),
            shared=len(theirs & used),
        )

    def _size(self, sha256: str) -> int | None:
        with suppress(StoreError):  # it has gone already
            return self._artifacts.size(sha256)
        return None


def _files(connection: Connection, run_ids: Collection[str], *, theirs: bool) -> set[str]:
    """Return all files of these runs, or of all others."""
    found: set[str] = set()
    for table, name in ((t.variants, "artifact"), (t.variants, "predictions"), (t.checkpoints, "file")):
        run_id, file = table.c.run_id, table.c[name]
        which = run_id.in_(run_ids) if theirs else run_id.not_in(run_ids)
        found |= set(connection.scalars(select(file).where(which, file.is_not(None)).distinct()))
    return found


def _needed(connection: Connection, candidates: Iterable[str]) -> set[str]:
    """Return those that the recipe of a run or search that stays names, and those that they name in turn."""
    texts = {row.id: row.recipe_yaml for row in connection.execute(select(t.runs.c.id, t.runs.c.recipe_yaml))}
    open_ids = set(candidates)
    waiting = [text for run_id, text in texts.items() if run_id not in open_ids]
    waiting += connection.scalars(select(t.searches.c.search_yaml))
    needed: set[str] = set()
    while waiting:
        for name in _NAMED.findall(waiting.pop()):
            found = {run_id for run_id in open_ids if run_id.startswith(name.lower())}
            waiting += [texts[run_id] for run_id in found]
            open_ids -= found
            needed |= found
    return needed


def _deployed(connection: Connection) -> set[str]:
    """Return what devices run or ran before, and what a roll-out gives or could bring back."""
    found = set(connection.scalars(select(t.rollouts.c.artifact)))
    previous = t.rollout_devices.c.previous
    found |= set(connection.scalars(select(previous).where(previous.is_not(None))))
    h, known = t.device_history.c, t.devices.c
    here = (known.site == h.site) & (known.name == h.device)
    query = select(h.site, h.device, h.artifact).join(t.devices, here).where(h.artifact.is_not(None))
    models: dict[tuple[str, str], list[str]] = {}
    for site, device, artifact in connection.execute(query.order_by(h.id.desc())):
        newest = models.setdefault((site, device), [])
        if artifact not in newest and len(newest) < _MODELS_OF_A_DEVICE:
            newest.append(artifact)
    return found.union(*models.values())
