"""The Optuna study of a search: in the same database as the runs, repeatable, resumable.

Akiba et al., Optuna: A Next-generation Hyperparameter Optimization Framework, KDD 2019, arXiv:1907.10902.
"""

import time
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from slimcast.errors import StoreError
from slimcast.records import Search
from slimcast.search.document import SearchDocument
from slimcast.search.measures import MEASURES

_BUSY_TIMEOUT_S = 15.0
_ATTEMPTS = 5
_MOST_STARTUP = 10


def open_storage(database_url: str) -> optuna.storages.RDBStorage:
    """Return Optuna's tables in our database, made where they are not there yet.

    Raises:
        StoreError: the database cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if database_url.startswith("sqlite"):
        arguments = {"connect_args": {"timeout": _BUSY_TIMEOUT_S}}
    for attempt in range(_ATTEMPTS):
        try:
            return optuna.storages.RDBStorage(database_url, engine_kwargs=arguments)
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError, AssertionError) as error:
            # Of two that make the tables at the same moment one fails, and finds them there the next time.
            if attempt + 1 == _ATTEMPTS:
                raise StoreError(f"The tables of the searches cannot be opened: {error}") from error
            time.sleep(0.1 * (attempt + 1))
    raise AssertionError("the loop returns or raises")


def study_name(search: Search) -> str:
    """Return the name of a search's study, which says name and hash."""
    return f"slimcast/{search.name}/{search.search_hash[:16]}"


def open_study(
    storage: optuna.storages.BaseStorage, search: Search, document: SearchDocument
) -> optuna.Study:
    """Return the study of a search, a new one where there is none."""
    up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [up if MEASURES[name].higher_is_better else down for name in document.objectives]
    return optuna.create_study(
        storage=storage,
        study_name=study_name(search),
        directions=directions,
        sampler=SeededSampler(document),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
        load_if_exists=True,
    )


def trials_of(database_url: str, search: Search) -> list[FrozenTrial]:
    """Return the trials of a search, by number; none where it has not begun."""
    storage = open_storage(database_url)
    try:
        study_id = storage.get_study_id_from_name(study_name(search))
        return storage.get_all_trials(study_id, deepcopy=False)
    except KeyError:
        return []
    finally:
        storage.engine.dispose()


class SeededSampler(BaseSampler):
    """Gives each trial a sampler whose seed is the search's and the trial's number.

    So a search that is taken up again does not draw the numbers of its first trials once more, and with
    ``random`` a trial's choices depend neither on the number of workers nor on when each of them was asked.
    """

    def __init__(self, document: SearchDocument) -> None:
        self._document = document
        self._of: tuple[int, BaseSampler] | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that are chosen together."""
        return self._sampler(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Choose those parameters."""
        return self._sampler(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Choose one parameter by itself."""
        return self._sampler(trial.number).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Let the sampler see that a trial begins."""
        self._sampler(trial.number).before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let a sampler see that a trial has ended."""
        _sampler_of(self._document, trial.number).after_trial(study, trial, state, values)

    def _sampler(self, number: int) -> BaseSampler:
        if self._of is None or self._of[0] != number:
            self._of = number, _sampler_of(self._document, number)
        return self._of[1]


def _sampler_of(document: SearchDocument, number: int) -> BaseSampler:
    seed = (document.seed * 1_000_003 + number * 1_009) % 2**31
    if document.sampler == "random":
        return RandomSampler(seed=seed)
    if document.sampler == "nsga2":
        # At least four generations, so that there is an evolution at all in a short search.
        return NSGAIISampler(seed=seed, population_size=max(4, min(50, document.trials // 4)))
    startup = min(_MOST_STARTUP, max(3, document.trials // 3))
    return TPESampler(seed=seed, n_startup_trials=startup, constant_liar=document.workers > 1)
