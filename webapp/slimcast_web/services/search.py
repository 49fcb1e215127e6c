"""What the Search page shows and does: searches, their trials, the plot of two figures."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from slimcast.errors import RecipeError
from slimcast.recipe.trust import code_problems
from slimcast.records import RunState, Search
from slimcast.search import SearchDocument, SearchResult, TrialLine, parse_search
from slimcast.search.log import read_log
from slimcast.search.measures import MEASURES, Measure
from slimcast.search.result import TrialEnd, pareto_front, result_of
from slimcast_web.services.studio import Studio

LOG_LINES = 300
_OVER_BUDGET = "over budget"


@dataclass(frozen=True, kw_only=True)
class SearchDetail:
    """Everything about one search."""

    search: Search
    document: SearchDocument
    result: SearchResult
    log: list[str]

    @property
    def figures(self) -> list[str]:
        """Return what can be drawn: objectives first, then budgets, then whatever else was measured."""
        measured = [name for trial in self.result.trials for name in trial.measured]
        wanted = [*self.document.objectives, *self.document.budgets]
        return list(dict.fromkeys([*wanted, *(name for name in MEASURES if name in measured)]))

    def front_of(self, x: str, y: str) -> list[TrialLine]:
        """Return the Pareto front of two figures among the trials within all budgets."""
        usable = [t for t in self.result.trials if t.within_budgets and x in t.measured and y in t.measured]
        return sorted(pareto_front(usable, [x, y]), key=lambda trial: trial.measured[x])


def newest(studio: Studio) -> list[Search]:
    """Return the newest searches."""
    return studio.store.searches.newest()


def is_live(search: Search) -> bool:
    """Return whether more may come."""
    return search.state in {RunState.QUEUED, RunState.RUNNING}


def detail(studio: Studio, search_id: str) -> SearchDetail:
    """Return everything about a search.

    Raises:
        RunNotFound: there is no such search.
        SearchError: it was made by another version, and is no valid search any more.
    """
    search = studio.store.searches.get(search_id)
    document = parse_search(search.search_yaml)
    return SearchDetail(
        search=search,
        document=document,
        result=result_of(studio.store.database_url, search, document),
        log=read_log(studio.settings.logs_folder / f"{search.id}.log", LOG_LINES),
    )


def problems(text: str) -> list[tuple[str, str]]:
    """Return everything that is wrong with a search: (path, message); nothing when it can start."""
    try:
        from_browser(text)
    except RecipeError as error:
        return error.problems
    return []


def from_browser(text: str) -> SearchDocument:
    """Read a search that came from a browser, where it may name nothing that would be imported.

    Raises:
        RecipeError: it is wrong, or names code.
    """
    document = parse_search(text)
    if refused := code_problems(document.recipe, document.model_dump()["space"]):
        raise RecipeError(refused)
    return document


def start(studio: Studio, text: str) -> Search:
    """Start a search in a process of its own; the same one again goes on where it has stopped.

    Raises:
        SearchError: it is wrong. RunStateError: it is running. StoreError: it cannot be started.
    """
    return studio.searches.submit(from_browser(text))


def resume(studio: Studio, search_id: str) -> None:
    """Have a search go on where it has stopped.

    Raises:
        RunStateError: it is running.
    """
    studio.searches.resume(search_id)


def cancel(studio: Studio, search_id: str) -> None:
    """Ask a search to stop.

    Raises:
        RunStateError: it has ended already.
    """
    studio.searches.cancel(search_id)


def status_of(trial: TrialLine) -> str:
    """Return in a word or two what has become of a trial."""
    if trial.end is TrialEnd.DONE and not trial.within_budgets:
        return _OVER_BUDGET
    return trial.end.value


def measure(name: str) -> Measure:
    """Return what is known of a figure."""
    return MEASURES[name]


def shown(name: str, value: float) -> float:
    """Return a figure as plots and tables show it: fractions in per cent."""
    return value * 100 if MEASURES[name].is_fraction else value


def head(name: str) -> str:
    """Return the title of an axis or column, with its unit."""
    known = MEASURES[name]
    unit = "%" if known.is_fraction else known.unit
    return f"{known.title}, {unit}" if unit else known.title


@cache
def examples() -> dict[str, str]:
    """Return the searches that come with Slimcast: name -> text."""
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(_folder().rglob("*.yaml"))}


def _folder() -> Path:
    import slimcast

    packaged = Path(slimcast.__file__).parent / "searches"
    return packaged if packaged.is_dir() else packaged.parents[2] / "examples" / "searches"
