"""Commands for the devices of a site: list, describe, look back, forget; and what is wrong with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slimcast.cli import output
from slimcast.cli.exits import FAILED
from slimcast.cli.fleet import Json, device_document, device_row
from slimcast.settings import Settings
from slimcast.timing import local_time

if TYPE_CHECKING:
    from slimcast.fleet_records import KnownDevice
    from slimcast.store import Store

app = typer.Typer(
    help="List the devices of this site, sort them into groups, look at what they ran, forget them.",
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="DEVICE", help="Name of the device.")]


@app.callback(invoke_without_command=True)
def devices(
    context: typer.Context,
    as_json: Json = False,
    wait: Annotated[float, typer.Option(min=0, help="How long to listen for devices, s.")] = 2.0,
) -> None:
    """List the devices that the broker knows."""
    if context.invoked_subcommand is not None:
        return
    from slimcast.fleet import commands

    settings = Settings.from_environment()
    found = commands.devices(settings, wait)
    with _store(settings) as store:
        known = {device.name: device for device in store.devices.all()}
    if as_json:
        output.print_json([device_document(device) | _described(known.get(device.name)) for device in found])
    elif found:
        output.print_table(
            ["device", "online", "model", "state", "fps", "hardware", "groups", "labels"],
            [device_row(device) + _words(known.get(device.name)) for device in found],
        )
    else:
        typer.echo("No device has been seen. On the device: slimcast-edge run --config edge.toml", err=True)


@app.command("set", epilog="\b\nExample:\n  slimcast devices set cam1 --group lobby --label room=2")
def describe(
    name: Name,
    group: Annotated[list[str] | None, typer.Option(help="Add to a group; can be repeated.")] = None,
    no_group: Annotated[list[str] | None, typer.Option(help="Take out of a group.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Add a label: NAME or NAME=VALUE.")] = None,
    no_label: Annotated[list[str] | None, typer.Option(help="Remove a label, by NAME or NAME=VALUE.")] = None,
    note: Annotated[str | None, typer.Option(help="Replace the note; '' removes it.")] = None,
) -> None:
    """Change a device's groups, labels and note; a label NAME=VALUE replaces the old value."""
    with _store(Settings.from_environment()) as store:
        device = store.devices.get(name)
        keys = {word.partition("=")[0] for word in label or [] if "=" in word}
        gone = {*(no_label or []), *keys}
        labels = [word for word in device.labels if word not in gone and word.partition("=")[0] not in gone]
        device = store.devices.describe(
            name,
            groups=({*device.groups} - {*(no_group or [])}) | {*(group or [])},
            labels=[*labels, *(label or [])],
            note=device.note if note is None else note,
        )
    groups, words = _words(device)
    typer.echo(f"{name}: groups {groups}; labels {words}" + (f"; note: {device.note}" if device.note else ""))


@app.command("history", epilog="\b\nExample:\n  slimcast devices history cam1")
def history(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many entries at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what a device ran and when, the newest first."""
    with _store(Settings.from_environment()) as store:
        entries = store.device_log.of(name, limit)
        if not entries:  # who was expelled has left a history, though it is known no more
            store.devices.get(name)
    if as_json:
        output.print_json([vars(entry) for entry in entries])
        return
    output.print_table(
        ["at", "state", "revision", "model", "why"],
        [
            [
                local_time(entry.at),
                entry.state,
                str(entry.revision),
                entry.name or "-",
                entry.message or entry.reason,
            ]
            for entry in entries
        ],
    )


@app.command("rollback", epilog="\b\nExample:\n  slimcast devices rollback --to group:lobby")
def rollback(
    to: Annotated[
        list[str], typer.Option(help="all, a device, group:NAME or label:NAME[=VALUE]; can be repeated.")
    ],
) -> None:
    """Have devices that are online go back to the model that each ran before."""
    from slimcast.fleet import commands

    outcome = commands.roll_back(Settings.from_environment(), to)
    for name, problem in outcome.items():
        named = problem.startswith(f"{name} ")
        typer.echo(problem if named else f"{name}: {problem or 'rolled back'}", err=bool(problem))
    if any(outcome.values()):
        raise typer.Exit(FAILED)


@app.command("remove", epilog="\b\nExample:\n  slimcast devices remove cam1")
def remove(name: Name) -> None:
    """Forget a device that is gone for good: its labels, its history, and what the broker retains of it."""
    from slimcast.fleet import commands

    commands.forget(Settings.from_environment(), name)
    typer.echo(f"{name} is forgotten.")


@app.command("expel", epilog="\b\nExample:\n  slimcast devices expel cam1")
def expel(name: Name) -> None:
    """Shut a device out: it comes back only with a new code. What it ran stays in the history."""
    from slimcast.fleet import commands

    left = commands.expel(Settings.from_environment(), name)
    typer.echo(f"{name} is expelled. To let it in again: slimcast devices enrol {name}")
    for sentence in left:
        typer.echo(sentence, err=True)


def alerts(
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones, too.")] = False,
    acknowledge: Annotated[
        int | None, typer.Option(help="Say that you know of the one of this number.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List devices that are offline, hot, slow or drifting, as the running studio has noticed."""
    with _store(Settings.from_environment()) as store:
        if acknowledge is not None:
            store.alerts.acknowledge(acknowledge)
        found = store.alerts.newest() if everything else store.alerts.open()
    if as_json:
        output.print_json([vars(alert) for alert in found])
        return
    if not found:
        typer.echo("There is no alert.", err=True)
        return
    output.print_table(
        ["number", "device", "kind", "since", "until", "known", "what"],
        [
            [
                str(alert.id),
                alert.device,
                alert.kind.value,
                local_time(alert.opened_at),
                local_time(alert.resolved_at) if alert.resolved_at else "-",
                "yes" if alert.acknowledged_at else "no",
                alert.message,
            ]
            for alert in found
        ],
    )


@contextmanager
def _store(settings: Settings) -> Iterator["Store"]:
    from slimcast.store import Store

    store = Store.open(settings)
    try:
        yield store
    finally:
        store.close()


def _described(device: "KnownDevice | None") -> dict[str, Any]:
    if device is None:
        return {"groups": [], "labels": [], "note": ""}
    return {"groups": list(device.groups), "labels": list(device.labels), "note": device.note}


def _words(device: "KnownDevice | None") -> list[str]:
    described = _described(device)
    return [", ".join(described["groups"]) or "-", ", ".join(described["labels"]) or "-"]
