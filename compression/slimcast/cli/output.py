"""What goes to stdout: one JSON document, or a table for people. The JSON's shape is a promise to scripts."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import typer

from slimcast.records import Cell, Run, Table, Variant
from slimcast.timing import local_time


def variant_document(variant: Variant, artifact: Path | None) -> dict[str, Any]:
    """Return a variant as `run --json` and `show --json` print it."""
    return {
        "name": variant.name,
        "step": variant.step,
        "numeric_kind": variant.numeric_kind,
        "accuracy": variant.value("accuracy"),
        "size_bytes": _whole(variant.value("size_bytes")),
        "compressed_bytes": _whole(variant.value("compressed_bytes")),
        "params": _whole(variant.value("params")),
        "macs": _whole(variant.value("macs")),
        "latency_ms": {"p50": variant.value("latency_p50_ms"), "p90": variant.value("latency_p90_ms")},
        "sparsity": variant.value("sparsity"),
        "agreement": variant.value("agreement"),
        "artifact": None if artifact is None else str(artifact),
    }


def result_document(run: Run, variants: Iterable[tuple[Variant, Path | None]]) -> dict[str, Any]:
    """Return what `run --json` prints."""
    return {
        "run": run.id,
        "state": run.state.value,
        "variants": [variant_document(variant, path) for variant, path in variants],
    }


def run_document(run: Run) -> dict[str, Any]:
    """Return a run as `runs --json` lists it."""
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state.value,
        "progress": run.progress,
        "activity": run.activity,
        "error": run.error,
        "recipe_hash": run.recipe_hash,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def print_json(document: Any, to: TextIO | None = None) -> None:
    """Print one document on stdout, or elsewhere."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False), file=to)


def print_table(columns: list[str], rows: Iterable[list[str]], to: TextIO | None = None) -> None:
    """Print columns side by side, on stdout or elsewhere."""
    table = [columns, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip(), file=to)


def print_cells(table: Table) -> None:
    """Print a table that a step has left."""
    print_table(list(table.columns), [[_cell(cell) for cell in row] for row in table.rows])


def print_variants(variants: Iterable[tuple[Variant, Path | None]], to: TextIO | None = None) -> None:
    """Print a table of variants: what each keeps and costs."""
    print_table(
        ["variant", "kind", "accuracy", "size KB", "params", "MACs", "p50 ms", "agreement"],
        [
            [
                variant.name,
                variant.numeric_kind,
                _figure(variant.value("accuracy"), ".4f"),
                _figure(variant.value("size_bytes"), ".1f", 1e-3),
                _figure(variant.value("params"), ",.0f"),
                _figure(variant.value("macs"), ",.0f"),
                _figure(variant.value("latency_p50_ms"), ".3f"),
                _figure(variant.value("agreement"), ".4f"),
            ]
            for variant, _ in variants
        ],
        to,
    )


def print_runs(runs: Iterable[Run]) -> None:
    """Print a table of runs."""
    print_table(
        ["run", "state", "done", "created", "name"],
        [
            [run.id, run.state.value, f"{run.progress:.0%}", local_time(run.created_at), run.name]
            for run in runs
        ],
    )


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[TextIO]:
    """Send to stderr whatever libraries print on stdout meanwhile, native code included.

    Yields:
        The way to stdout that is left meanwhile.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as kept:
        try:
            os.dup2(2, 1)
            with contextlib.redirect_stdout(sys.stderr):
                yield kept
        finally:
            os.dup2(kept.fileno(), 1)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _cell(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _figure(value: float | None, form: str, factor: float = 1.0) -> str:
    return "-" if value is None else format(value * factor, form)
