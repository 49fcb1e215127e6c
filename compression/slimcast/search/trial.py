"""One trial, from its choices to what is told to the study; its work is an ordinary run."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import Trial, TrialState

from slimcast.errors import RecipeError, RunStateError, StoreError
from slimcast.jobs.liveness import process_is_alive
from slimcast.jobs.process import COMMAND, run_in_process
from slimcast.recipe import Recipe
from slimcast.records import Event, EventKind, Run, RunState, Variant
from slimcast.reporting import Reporter
from slimcast.search.beginning import take_over_beginning
from slimcast.search.document import SearchDocument
from slimcast.search.outcome import exceeded, outcome_of
from slimcast.search.space import draw, label, recipe_of
from slimcast.search.stopping import EarlyStop, Hopeless, Point, points_of
from slimcast.settings import Settings
from slimcast.store import Store

_LOOK_S = 1.0
_ADOPTED_POLL_S = 0.5
_FAILURE_MISS = 1000.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all trials of a search work with.

    Attributes:
        stopping: whether the search is to end; runs that are under way are then cancelled, and their trials
            stay open for whoever takes the search up again.
        command: what is started for a run, before ``run --run-id ID``.
    """

    document: SearchDocument
    study: optuna.Study
    settings: Settings
    store: Store
    reporter: Reporter
    stopping: Callable[[], bool]
    command: Sequence[str] = COMMAND


def work_on(bench: Bench, trial: Trial) -> None:
    """Do a new trial, or go on with one that was left open, and tell the study how it has ended.

    A run that outlived its search is waited for; one that was stopped goes on after its last finished step.

    Raises:
        StoreError: the database does not work.
    """
    values = draw(bench.document.space, trial)
    try:
        recipe = recipe_of(bench.document, values, f"{bench.document.name}-{trial.number:04d}")
    except RecipeError as error:
        _tell_failure(bench, trial, " ".join(str(error).split()))
        return
    if "run" not in trial.user_attrs:
        if _tell_twin(bench, trial, recipe):
            return
        _begin(bench, trial, recipe)
    _say(bench, trial, ", ".join(f"{path}={label(value)}" for path, value in values.items()))
    watch = _Watch(bench, trial, recipe)
    _run(bench, watch)
    _tell(bench, trial, recipe, watch)


def _tell_twin(bench: Bench, trial: Trial, recipe: Recipe) -> bool:
    """Tell what is known where the same recipe was tried before: a small space is soon tried out."""
    identity = recipe.model_copy(update={"name": bench.document.name}).hash
    trial.set_user_attr("recipe", identity)
    for other in bench.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if other.user_attrs.get("recipe") == identity:
            for name in ("run", "variant", "measured"):
                trial.set_user_attr(name, other.user_attrs[name])
            _set_missed(trial, other.user_attrs["missed"])
            trial.set_user_attr("reason", f"the same recipe as in trial {other.number}")
            bench.study.tell(trial, other.values)
            _say(bench, trial, f"the same recipe as in trial {other.number}: not run again")
            return True
    return False


def _begin(bench: Bench, trial: Trial, recipe: Recipe) -> None:
    _cancel_orphans(bench.store, recipe.name)
    run = bench.store.create_run(recipe)
    trial.set_user_attr("run", run.id)
    others = bench.study.get_trials(deepcopy=False)
    earlier = {other.user_attrs["run"] for other in others if "run" in other.user_attrs} - {run.id}
    take_over_beginning(bench.store, recipe, run, sorted(earlier, reverse=True))


def _cancel_orphans(store: Store, name: str) -> None:
    """Cancel a run that was queued for this trial by a search that died before it could note its id."""
    for run in store.runs(state=RunState.QUEUED):
        if run.name == name:
            store.request_cancel(run.id)


def _run(bench: Bench, watch: "_Watch") -> None:
    store, run_id = bench.store, watch.run_id
    while store.run(run_id).state is RunState.RUNNING:  # it has outlived the search that began it
        store.find_interrupted(unless=process_is_alive)
        if watch():
            return
        time.sleep(_ADOPTED_POLL_S)
    if store.run(run_id).state in {RunState.CANCELLED, RunState.INTERRUPTED}:
        store.requeue(run_id)
    run_in_process(run_id, settings=bench.settings, store=store, should_stop=watch, command=bench.command)


def _tell(bench: Bench, trial: Trial, recipe: Recipe, watch: "_Watch") -> None:
    run = bench.store.run(watch.run_id)
    if watch.hopeless is not None:
        trial.set_user_attr("reason", watch.hopeless.reason)
        _note_outcome(bench, trial, recipe, run)
        _set_missed(trial, watch.hopeless.missed)  # what it would still have gained is not held against it
        bench.study.tell(trial, state=TrialState.PRUNED)
        _say(bench, trial, f"stopped early: {watch.hopeless.reason}")
    elif run.state is RunState.SUCCEEDED:
        _tell_success(bench, trial, recipe, run)
    elif run.state is RunState.FAILED:
        _tell_failure(bench, trial, run.error)
    elif not bench.stopping():
        _tell_failure(bench, trial, run.error or f"its run was {run.state}")
    # Else it stays open: whoever takes the search up goes on with it.


def _tell_success(bench: Bench, trial: Trial, recipe: Recipe, run: Run) -> None:
    measured = _note_outcome(bench, trial, recipe, run)
    wanted = {*bench.document.objectives, *bench.document.budgets}
    missing = sorted(wanted - set(measured))
    if missing:
        _tell_failure(bench, trial, f"nothing was measured for {', '.join(missing)}")
        return
    missed = exceeded(bench.document.budgets, measured)
    _set_missed(trial, missed)
    bench.study.tell(trial, [measured[name] for name in bench.document.objectives])
    over = [name for name, value in missed.items() if value > 0]
    figures = ", ".join(f"{name} {measured[name]:.6g}" for name in sorted(wanted))
    _say(bench, trial, figures + (f"; over the budget: {', '.join(over)}" if over else ""))


def _note_outcome(bench: Bench, trial: Trial, recipe: Recipe, run: Run) -> dict[str, float]:
    variants = bench.store.variants(run.id)
    if not variants:
        return {}
    outcome = outcome_of(recipe, variants)
    trial.set_user_attr("variant", outcome.variant)
    trial.set_user_attr("measured", dict(outcome.measured))
    return dict(outcome.measured)


def _set_missed(trial: Trial, missed: Mapping[str, float]) -> None:
    trial.set_user_attr("missed", dict(missed))
    for name, value in missed.items():
        trial.set_constraint(name, value)


def _tell_failure(bench: Bench, trial: Trial, reason: str) -> None:
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("failed", True)
    # Samplers overlook failed trials and would ask for the same again: to them it is one far over its budget.
    trial.set_constraint("works", _FAILURE_MISS)
    bench.study.tell(trial, state=TrialState.PRUNED)
    _say(bench, trial, f"failed: {reason}", "warning")


def _say(bench: Bench, trial: Trial, text: str, level: str = "info") -> None:
    run = trial.user_attrs.get("run")
    bench.reporter.log(f"Trial {trial.number}{f' (run {run})' if run else ''}: {text}", level)


class _Watch:
    """Looks at a run while it goes on; asked several times a second by who waits for its process.

    Attributes:
        hopeless: why the run was cancelled as hopeless, None where it was not.
    """

    def __init__(self, bench: Bench, trial: Trial, recipe: Recipe) -> None:
        self.run_id: str = trial.user_attrs["run"]
        self.hopeless: Hopeless | None = None
        self._bench = bench
        self._rule = EarlyStop(bench.document, recipe, trial)
        self._events: list[Event] = []
        self._next_look = 0.0
        self._asked = False

    def __call__(self) -> bool:
        """Have the run cancelled where it should not go on. Never True: its process ends by itself then."""
        now = time.monotonic()
        if self._asked or (now < self._next_look and not self._bench.stopping()):
            return False
        self._next_look = now + _LOOK_S
        try:
            if not self._bench.stopping():
                self.hopeless = self._rule.look(*self._look())
            if self.hopeless is not None or self._bench.stopping():
                self._bench.store.request_cancel(self.run_id)
                self._asked = True
        except RunStateError:
            self.hopeless, self._asked = None, True  # it has ended meanwhile: then it counts as it is
        except StoreError:
            return False  # a database that is away for a moment is no reason to stop the work
        return False

    def _look(self) -> tuple[list[Variant], list[Point]]:
        store = self._bench.store
        after = self._events[-1].seq if self._events else 0
        self._events += store.events(self.run_id, after=after, kinds=[EventKind.POINT])
        return store.variants(self.run_id), points_of(self._events)
