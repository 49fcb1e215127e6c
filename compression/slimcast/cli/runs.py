"""Commands that run recipes and look at runs."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from slimcast.cli import output
from slimcast.cli.exits import CANCELLED, OK, code_of_state
from slimcast.errors import RunNotFound, StoreError
from slimcast.records import Run, RunState, Search, Table, Variant
from slimcast.settings import Settings

if TYPE_CHECKING:
    from slimcast.store import Store

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Also write the .onnx files, recipe.yaml and run.json here."),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or the beginning of it.")]

_CANCEL_WAIT_S = 4.0


def run(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="RECIPE.yaml", help="The recipe to run.", show_default=False)
    ] = None,
    out: Out = None,
    as_json: Json = False,
    run_id: Annotated[str, typer.Option("--run-id", hidden=True)] = "",
) -> None:
    """Run a recipe here and now, and show the variants that it leaves."""
    with open_store() as (settings, store):
        if run_id:
            _execute_and_exit(settings, store, run_id, out, as_json)
        if recipe is None:
            raise typer.BadParameter("Expected the file of a recipe, such as: slimcast run my-recipe.yaml")
        from slimcast.recipe import load_recipe

        created = store.create_run(load_recipe(recipe))
        typer.echo(f"Run {created.id} ({created.name})", err=True)
        _execute_and_exit(settings, store, created.id, out, as_json)


def resume(run_id: RunId, out: Out = None, as_json: Json = False) -> None:
    """Run a failed, cancelled or interrupted run again, from its last finished step on."""
    with open_store() as (settings, store):
        queued = store.requeue(store.run(run_id).id)
        _execute_and_exit(settings, store, queued.id, out, as_json)


def list_runs(
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    state: Annotated[RunState | None, typer.Option(help="Only runs in this state.")] = None,
) -> None:
    """List runs, newest first."""
    with open_store() as (_, store):
        found = store.runs(limit=limit, state=state)
    if as_json:
        output.print_json([output.run_document(one) for one in found])
    elif found:
        output.print_runs(found)
    else:
        typer.echo("There are no runs yet. Start one with: slimcast run RECIPE.yaml", err=True)


def show(
    run_id: RunId,
    as_json: Json = False,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="Print a table of it, such as 1-sensitivity.")
    ] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print that table as CSV.")] = False,
) -> None:
    """Show a run and its variants, or a table that one of its steps has left."""
    with open_store() as (_, store):
        found = store.run(run_id)
        tables = {one.name: one for one in store.tables(found.id)}
        variants = _with_files(store, found)
    if table or as_csv:
        _show_table(tables, table, as_json=as_json, as_csv=as_csv)
        return
    if as_json:
        output.print_json(output.run_document(found) | output.result_document(found, variants))
        return
    output.print_runs([found])
    if found.error:
        typer.echo(f"\n{found.error}")
    if variants:
        typer.echo()
        output.print_variants(variants)
    if tables:
        typer.echo(f"\nTables: {', '.join(tables)}. Print one with: slimcast show {found.id} --table NAME")


def _show_table(tables: dict[str, Table], name: str, *, as_json: bool, as_csv: bool) -> None:
    if name not in tables:
        known = f"It has: {', '.join(tables)}." if tables else "It has none."
        raise typer.BadParameter(f"The run has no table {name!r}. {known}", param_hint="--table")
    if as_json:
        output.print_json(dataclasses.asdict(tables[name]))
    elif as_csv:
        typer.echo(tables[name].to_csv(), nl=False)
    else:
        output.print_cells(tables[name])


def cancel(run_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a run or a search.")]) -> None:
    """Cancel a run or a search; it stops within seconds and can be resumed."""
    from slimcast.jobs.liveness import process_is_alive

    with open_store() as (_, store):
        search = _search_named(store, run_id)
        if search is not None:
            typer.echo(
                f"Search {search.id}: {store.searches.request_cancel(search.id).state}, cancelling", err=True
            )
            return
        found = store.request_cancel(store.run(run_id).id)
        deadline = time.monotonic() + _CANCEL_WAIT_S
        while found.state is RunState.RUNNING and time.monotonic() < deadline:
            time.sleep(0.1)
            store.find_interrupted(unless=process_is_alive)  # a worker that died cannot stop by itself
            found = store.run(found.id)
    waiting = " (its process is still stopping)" if found.state is RunState.RUNNING else ""
    typer.echo(f"Run {found.id} is {found.state}{waiting}", err=True)


def _search_named(store: "Store", id_or_prefix: str) -> Search | None:
    try:
        return store.searches.get(id_or_prefix)
    except RunNotFound:
        return None


def _execute_and_exit(
    settings: Settings, store: "Store", run_id: str, out: Path | None, as_json: bool
) -> None:
    from slimcast.fleet.clocks import DeviceClocks
    from slimcast.jobs.worker import execute

    if out is not None:
        _make_folder(out)
    with output.stdout_kept_clean() as stdout, DeviceClocks(settings, store) as clocks:
        ended = execute(
            run_id,
            settings=settings,
            store=store,
            console=True,
            clocks=clocks,
            at_hard_end=lambda: _report(store, store.run(run_id), out, as_json, stdout),
        )
    _report(store, ended, out, as_json)
    raise typer.Exit(code_of_state(ended.state))


def _report(
    store: "Store", ended: Run, out: Path | None, as_json: bool, stdout: TextIO | None = None
) -> None:
    """Write and print what a run has left, whatever way it has ended."""
    variants = _with_files(store, ended)
    if out is not None:
        variants = _write_out(out, store, ended, variants)
    if as_json:
        output.print_json(output.result_document(ended, variants), stdout)
    elif variants:
        output.print_variants(variants, stdout)
    _say_how_it_ended(ended)


def _say_how_it_ended(run: Run) -> None:
    code = code_of_state(run.state)
    if code == OK:
        return
    reason = f": {run.error}" if run.error else ""
    hint = f" Go on with: slimcast resume {run.id}" if code == CANCELLED else ""
    typer.echo(f"Run {run.id} {run.state}{reason}{hint}", err=True)


def _with_files(store: "Store", run: Run) -> list[tuple[Variant, Path | None]]:
    return [
        (variant, store.artifacts.local_path(variant.artifact) if variant.artifact else None)
        for variant in store.variants(run.id)
    ]


def _write_out(
    folder: Path, store: "Store", run: Run, variants: list[tuple[Variant, Path | None]]
) -> list[tuple[Variant, Path | None]]:
    """Copy the artifacts under readable names, and say beside them how they were made."""
    import json

    copied: list[tuple[Variant, Path | None]] = []
    try:
        for variant, source in variants:
            target = None if source is None else folder.resolve() / f"{variant.name}.onnx"
            if source is not None and target is not None:
                shutil.copyfile(source, target)
            copied.append((variant, target))
        (folder / "recipe.yaml").write_text(run.recipe_yaml, encoding="utf-8")
        document = json.dumps(output.result_document(run, copied), indent=2)
        (folder / "run.json").write_text(document + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"The results could not be written to {folder}: {error}") from error
    return copied


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"--out {folder} cannot be made: {error}") from error


@contextlib.contextmanager
def open_store() -> Iterator[tuple[Settings, "Store"]]:
    """Open settings and store, and close the store at the end."""
    from slimcast.store import Store

    settings = Settings.from_environment()
    store = Store.open(settings)
    try:
        yield settings, store
    finally:
        store.close()
