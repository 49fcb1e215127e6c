"""What the steps of a run have found out, ready to be drawn, listed and downloaded."""

from collections.abc import Iterable
from dataclasses import dataclass

from slimcast.records import Cell, Event, EventKind, Run, Table


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Accuracy, per cent, of each group of layers (a row) at each ratio (a column); None: not measured.

    Attributes:
        details: what to say of a cell beside that, such as which layers belong to the group.
    """

    groups: list[str]
    ratios: list[float]
    accuracies: list[list[float | None]]
    details: list[list[str]]


@dataclass(frozen=True, kw_only=True)
class History:
    """Accuracy, per cent, against what the network costs, iteration by iteration.

    Attributes:
        cost: name of the cost, with its unit where it has one.
        measured: (cost, accuracy) where it was measured, too.
    """

    cost: str
    costs: list[float]
    accuracies: list[float]
    labels: list[str]
    measured: list[tuple[float, float]]


def of_events(events: Iterable[Event]) -> list[Table]:
    """Return the tables among a run's events, each as it was told last, by step."""
    found: dict[str, Table] = {}
    for event in events:
        if event.kind is EventKind.TABLE:
            data = event.data
            rows = tuple(tuple(row) for row in data["rows"])
            found[data["name"]] = Table(name=data["name"], columns=tuple(data["columns"]), rows=rows)
    return sorted(found.values(), key=_place)


def title(table: Table) -> str:
    """Return what a person calls a table: ``Step 1: sensitivity``."""
    step, _, what = table.name.partition("-")
    return f"Step {step}: {what.replace('-', ' ')}" if step.isdecimal() and what else table.name


def csv_file(run: Run, table: Table) -> tuple[str, str]:
    """Return name and text of a table as a file."""
    return f"{run.name}-{table.name}.csv"[-100:], table.to_csv()


def heat_map(table: Table) -> HeatMap | None:
    """Return a table of accuracies by group and ratio as a grid; None where it is no such table."""
    if not {"group", "ratio", "accuracy"} <= set(table.columns) or not table.rows:
        return None
    cells = {(str(row["group"]), _number(row["ratio"])): row for row in _records(table)}
    groups = list(dict.fromkeys(group for group, _ in cells))
    ratios = sorted({ratio for _, ratio in cells})
    grid = [[cells.get((group, ratio)) for ratio in ratios] for group in groups]
    return HeatMap(
        groups=groups,
        ratios=ratios,
        accuracies=[
            [None if cell is None else 100 * _number(cell["accuracy"]) for cell in row] for row in grid
        ],
        details=[["" if cell is None else str(cell.get("layers", "")) for cell in row] for row in grid],
    )


def history(table: Table) -> History | None:
    """Return a table of iterations with accuracy and predicted cost; None where it is no such table."""
    predicted = next((name for name in table.columns if name.startswith("predicted_")), "")
    if not {"iteration", "accuracy"} <= set(table.columns) or not predicted or not table.rows:
        return None
    cost = predicted.removeprefix("predicted_")
    rows = [row for row in _records(table) if row[predicted] is not None and row["accuracy"] is not None]
    return History(
        cost=cost,
        costs=[_number(row[predicted]) for row in rows],
        accuracies=[100 * _number(row["accuracy"]) for row in rows],
        labels=[_label(row) for row in rows],
        measured=[
            (_number(row[f"measured_{cost}"]), 100 * _number(row["accuracy"]))
            for row in rows
            if row.get(f"measured_{cost}") is not None
        ],
    )


def _label(row: dict[str, Cell]) -> str:
    group = f": {row['group']} to {row.get('channels')} channels" if row.get("group") else ""
    return f"iteration {row['iteration']}{group}"


def _records(table: Table) -> list[dict[str, Cell]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _number(cell: Cell) -> float:
    return float(cell) if cell is not None else float("nan")


def _place(table: Table) -> tuple[int, str]:
    step, _, what = table.name.partition("-")
    return (int(step), what) if step.isdecimal() else (1_000, table.name)
