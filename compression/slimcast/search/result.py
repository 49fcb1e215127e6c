"""What a search has found: all its trials, the Pareto front within the budgets, or the best that there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from slimcast.records import Search
from slimcast.search.document import SearchDocument
from slimcast.search.measures import MEASURES
from slimcast.search.space import readable
from slimcast.search.study import trials_of


class TrialEnd(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    DONE = "done"
    STOPPED_EARLY = "stopped early"
    FAILED = "failed"


_ENDS = {TrialState.COMPLETE: TrialEnd.DONE, TrialState.PRUNED: TrialEnd.STOPPED_EARLY}


@dataclass(frozen=True, kw_only=True)
class TrialLine:
    """One trial.

    Attributes:
        run: id of its run, "" where there is none yet. variant: the one it is judged by.
        parameters: path into the recipe -> what was chosen.
        measured: by the names of `MEASURES`. exceeded: by how much each budget is missed, 0 or less: kept.
        reason: why it failed or was stopped; for a recipe that had been tried before, in which trial.
    """

    number: int
    end: TrialEnd
    run: str
    variant: str
    parameters: Mapping[str, Any]
    measured: Mapping[str, float]
    exceeded: Mapping[str, float]
    reason: str

    @property
    def within_budgets(self) -> bool:
        """Return whether it is done and keeps every budget."""
        return self.end is TrialEnd.DONE and all(value <= 0 for value in self.exceeded.values())


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """All trials, and what is best among them.

    Attributes:
        front: done and within the budgets, and no other such trial is as good in all objectives and better in
            one; each recipe once.
        best_found: where nothing keeps the budgets, the trial that misses them by least; else None.
    """

    trials: tuple[TrialLine, ...]
    front: tuple[TrialLine, ...]
    best_found: TrialLine | None


def result_of(database_url: str, search: Search, document: SearchDocument) -> SearchResult:
    """Read what a search has found so far.

    Raises:
        StoreError: the database cannot be used.
    """
    trials = tuple(_line(trial) for trial in trials_of(database_url, search))
    front = pareto_front([trial for trial in trials if trial.within_budgets], document.objectives)
    done = [trial for trial in trials if trial.end is TrialEnd.DONE]
    best = None if front or not done else min(done, key=_missed)
    return SearchResult(trials=trials, front=tuple(front), best_found=best)


def pareto_front(trials: Sequence[TrialLine], objectives: Sequence[str]) -> list[TrialLine]:
    """Return those that no other beats, by the first objective; of equal figures the first trial only."""
    kept: dict[tuple[float, ...], TrialLine] = {}
    for trial in trials:
        kept.setdefault(_losses(trial, objectives), trial)
    front = [
        trial
        for losses, trial in kept.items()
        if not any(
            other != losses and all(a <= b for a, b in zip(other, losses, strict=True)) for other in kept
        )
    ]
    return sorted(front, key=lambda trial: _losses(trial, objectives))


def _losses(trial: TrialLine, objectives: Sequence[str]) -> tuple[float, ...]:
    return tuple(
        -trial.measured[name] if MEASURES[name].higher_is_better else trial.measured[name]
        for name in objectives
    )


def _missed(trial: TrialLine) -> float:
    return sum(value for value in trial.exceeded.values() if value > 0)


def _line(trial: FrozenTrial) -> TrialLine:
    told = trial.user_attrs
    return TrialLine(
        number=trial.number,
        end=TrialEnd.FAILED if told.get("failed") else _ENDS.get(trial.state, TrialEnd.RUNNING),
        run=told.get("run", ""),
        variant=told.get("variant", ""),
        parameters={path: readable(value) for path, value in trial.params.items()},
        measured=told.get("measured", {}),
        exceeded=told.get("missed", {}),
        reason=told.get("reason", ""),
    )
