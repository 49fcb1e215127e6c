"""The variants of runs that somebody compares: those of a run that has ended are read once."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slimcast.records import Run, Variant

if TYPE_CHECKING:
    from slimcast.store import Store

RUNS_KEPT = 400

_Key = tuple[str, float | None]


class VariantReader:
    """Reads the variants of runs, and keeps those that cannot change any more. Thread-safe."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._kept: OrderedDict[_Key, list[Variant]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, runs: Sequence[Run]) -> dict[str, list[Variant]]:
        """Return the variants of each run, by step; by the run's id."""
        with self._lock:
            known = {run.id: self._kept[_key(run)] for run in runs if _key(run) in self._kept}
        missing: dict[str, list[Variant]] = {run.id: [] for run in runs if run.id not in known}
        if missing:
            for variant in self._store.variants_of(list(missing)):
                missing[variant.run_id].append(variant)
            with self._lock:
                # A run that is taken up again ends at another time: it is another key then.
                self._kept |= {_key(run): missing[run.id] for run in runs if _may_keep(run, missing)}
                while len(self._kept) > RUNS_KEPT:
                    self._kept.popitem(last=False)
        return known | missing


def _key(run: Run) -> _Key:
    return run.id, run.finished_at


def _may_keep(run: Run, read: dict[str, list[Variant]]) -> bool:
    return run.id in read and run.state.is_finished() and run.finished_at is not None
