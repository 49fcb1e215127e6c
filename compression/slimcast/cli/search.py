"""The command that searches, and what it prints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slimcast.cli import output
from slimcast.cli.exits import NOTHING_FITS, OK, code_of_state
from slimcast.cli.runs import open_store
from slimcast.records import RunState, Search
from slimcast.settings import Settings

if TYPE_CHECKING:
    from slimcast.search import SearchDocument, SearchResult, TrialLine
    from slimcast.store import Store


def search(
    file: Annotated[
        Path | None, typer.Argument(metavar="SEARCH.yaml", help="The search.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    search_id: Annotated[str, typer.Option("--search-id", hidden=True)] = "",
) -> None:
    """Search for the best recipes under budgets; the same file again goes on where it has stopped.

    Every trial is an ordinary run. What is printed is the Pareto front within the budgets, or the best found.
    """
    if file is None and not search_id:
        raise typer.BadParameter("Expected the file of a search, such as: slimcast search my-search.yaml")
    from slimcast.search import load_search, parse_search
    from slimcast.search.result import result_of

    with open_store() as (settings, store):
        if file is not None:
            document = load_search(file)
            ended = _search_here(settings, store, document)
        else:
            ended = _search_in_background(settings, store, search_id)
            document = parse_search(ended.search_yaml)
        result = result_of(store.database_url, ended, document)
    if as_json:
        output.print_json(search_document(ended, document, result))
    else:
        _print_result(document, result)
    _say_how_it_ended(ended, result, file)
    raise typer.Exit(_code(ended, result))


def _search_here(settings: Settings, store: "Store", document: "SearchDocument") -> Search:
    from slimcast.jobs.console import ConsoleReporter
    from slimcast.search.run import enqueue, run_search

    queued = enqueue(store, document)
    typer.echo(f"Search {queued.id} ({queued.name})", err=True)
    with ConsoleReporter() as console:
        return run_search(queued.id, settings=settings, store=store, console=console)


def _search_in_background(settings: Settings, store: "Store", search_id: str) -> Search:
    from slimcast.search.run import run_search

    return run_search(search_id, settings=settings, store=store)


def search_document(search: Search, document: "SearchDocument", result: "SearchResult") -> dict[str, Any]:
    """Return what `search --json` prints; trials are named by their numbers."""
    from slimcast.search.measures import MEASURES

    return {
        "search": search.id,
        "name": search.name,
        "hash": search.search_hash,
        "state": search.state.value,
        "error": search.error,
        "objectives": [
            {"name": name, "direction": "max" if MEASURES[name].higher_is_better else "min"}
            for name in document.objectives
        ],
        "budgets": dict(document.budgets),
        "trials": [_trial_document(trial) for trial in result.trials],
        "front": [trial.number for trial in result.front],
        "best_found": None if result.best_found is None else result.best_found.number,
    }


def _trial_document(trial: "TrialLine") -> dict[str, Any]:
    return {
        "number": trial.number,
        "end": trial.end.value,
        "within_budgets": trial.within_budgets,
        "run": trial.run,
        "variant": trial.variant,
        "parameters": dict(trial.parameters),
        "measured": dict(trial.measured),
        "exceeded": {name: value for name, value in trial.exceeded.items() if value > 0},
        "reason": trial.reason,
    }


def _print_result(document: "SearchDocument", result: "SearchResult") -> None:
    from slimcast.search.measures import TEST_ACCURACY

    shown = result.front or ([result.best_found] if result.best_found else [])
    if not shown:
        return
    figures = list(dict.fromkeys([*document.objectives, *document.budgets]))
    figures += [TEST_ACCURACY] if all(TEST_ACCURACY in trial.measured for trial in shown) else []
    parameters = list(document.space)
    output.print_table(
        ["trial", "run", "variant", *figures, *parameters],
        [
            [
                str(trial.number),
                trial.run,
                trial.variant,
                *(f"{trial.measured[name]:.6g}" for name in figures),
                *(_text(trial.parameters.get(path, "-")) for path in parameters),
            ]
            for trial in shown
        ],
    )


def _text(value: Any) -> str:
    return "null" if value is None else str(value)


def _say_how_it_ended(search: Search, result: "SearchResult", file: Path | None) -> None:
    if search.state is not RunState.SUCCEEDED:
        reason = f": {search.error}" if search.error else ""
        again = f" Go on with: slimcast search {file}" if file else ""
        typer.echo(f"Search {search.id} {search.state}{reason}{again}", err=True)
    if result.best_found is not None:
        missed = [name for name, value in result.best_found.exceeded.items() if value > 0]
        typer.echo("No trial keeps all budgets. The best found misses: " + ", ".join(missed), err=True)
    elif not result.front:
        typer.echo("No trial has come to its end.", err=True)


def _code(search: Search, result: "SearchResult") -> int:
    code = code_of_state(search.state)
    return NOTHING_FITS if code == OK and not result.front else code
