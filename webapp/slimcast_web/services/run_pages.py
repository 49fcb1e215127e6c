"""The list of runs: filtered, page by page; tags; deleting with a way back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from slimcast.records import RunState
from slimcast.store.run_list import ListedRun, RunFilter
from slimcast_web.services.studio import Studio

PAGE = 25
_LIVE = (RunState.QUEUED, RunState.RUNNING)


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """A page of the list.

    Attributes:
        total: runs that the filter lets through. index: of this page, from 0. pages: at least 1.
    """

    lines: list[ListedRun]
    total: int
    index: int
    pages: int


def page(studio: Studio, wanted: RunFilter, index: int) -> RunPage:
    """Return a page, newest first; the last one where there are not so many."""
    total = studio.store.run_list.count(wanted)
    pages = max(1, math.ceil(total / PAGE))
    index = min(max(0, index), pages - 1)
    lines = studio.store.run_list.page(wanted, limit=PAGE, offset=index * PAGE)
    return RunPage(lines=lines, total=total, index=index, pages=pages)


def is_empty(studio: Studio) -> bool:
    """Return whether there has never been a run, or all were deleted for good."""
    listed = studio.store.run_list
    return not listed.page(RunFilter(), limit=1) and not listed.page(RunFilter(deleted=True), limit=1)


def any_live(studio: Studio) -> bool:
    """Return whether a run waits or goes on."""
    return bool(studio.store.run_list.page(RunFilter(states=_LIVE), limit=1))


def delete(studio: Studio, run_ids: Sequence[str]) -> None:
    """Put runs out of sight; `restore` brings them back.

    Raises:
        RunStateError: one waits or runs; then none is deleted.
        RunNotFound: one does not exist.
    """
    studio.store.run_list.delete(run_ids)


def restore(studio: Studio, run_ids: Sequence[str]) -> None:
    """Bring deleted runs back."""
    studio.store.run_list.restore(run_ids)


def set_tags(studio: Studio, run_id: str, tags: Sequence[str]) -> None:
    """Give a run these tags and no others.

    Raises:
        StoreError: one of them cannot be a tag, or they are too many.
    """
    studio.store.run_list.set_tags(run_id, tags)
