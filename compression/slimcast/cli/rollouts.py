"""Commands for roll-outs. They only note what is wanted; the running studio carries it out."""

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slimcast.cli import output
from slimcast.cli.fleet import Json
from slimcast.settings import Settings
from slimcast.timing import local_time

if TYPE_CHECKING:
    from slimcast.fleet_records import Rollout
    from slimcast.store import Store

app = typer.Typer(
    help="Publish a variant to many devices in stages, and stop when it does not do well.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_STAGES = "Devices or percentages that each stage reaches, the earlier ones included."
Id = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Id of the roll-out, or the beginning of it.")]


@app.command(
    "start",
    epilog="\b\nExample:\n  slimcast rollout start mwq4wkm8bq --variant 3-int8 --to all --stages 1,25%,100%",
)
def start(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or the beginning of it.")],
    variant: Annotated[str, typer.Option(help="Name of the variant, as `slimcast show RUN` lists it.")],
    to: Annotated[
        list[str], typer.Option(help="all, a device, group:NAME or label:NAME[=VALUE]; can be repeated.")
    ],
    first: Annotated[list[str] | None, typer.Option(help="A device that is to be reached first.")] = None,
    stages: Annotated[str, typer.Option(help=_STAGES)] = "1,25%,100%",
    watch: Annotated[float, typer.Option(help="How long each stage is watched, s.")] = 120.0,
    patience: Annotated[
        float, typer.Option(help="How long a stage waits for devices that are offline, s.")
    ] = 3600.0,
    min_success: Annotated[
        float, typer.Option(help="Share of the devices so far that must run it, 0 to 1.")
    ] = 0.9,
    max_failed: Annotated[
        float, typer.Option(help="Share that may refuse it, roll back or become unhealthy, 0 to 1.")
    ] = 0.1,
    max_errors: Annotated[
        int, typer.Option(min=0, max=15, help="Error events that a device may send before it has failed.")
    ] = 3,
    revert: Annotated[
        bool, typer.Option(help="Give devices their former model back when it halts by itself.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Start to publish a variant to several devices, stage by stage."""
    from slimcast.fleet import rollout_start
    from slimcast.store import Store

    plan = rollout_start.make_plan(
        stages=rollout_start.parse_stages(stages),
        watch_s=watch,
        patience_s=patience,
        min_success=min_success,
        max_failed=max_failed,
        max_errors=max_errors,
        revert=revert,
    )
    wish = rollout_start.RolloutWish(
        run=run_id, variant=variant, to=tuple(to), plan=plan, first=tuple(first or ())
    )
    store = Store.open(Settings.from_environment())
    try:
        _tell(rollout_start.start(store, wish), as_json)
    finally:
        store.close()


@app.command("show", epilog="\b\nExample:\n  slimcast rollout show mwq9xk2b4c")
def show(
    rollout_id: Annotated[str, typer.Argument(metavar="ROLLOUT", help="Its id; none for a list.")] = "",
    as_json: Json = False,
) -> None:
    """Show a roll-out device by device, or list the newest ones."""
    from slimcast.store import Store

    store = Store.open(Settings.from_environment())
    try:
        if rollout_id:
            _tell(store.rollouts.get(rollout_id), as_json)
        else:
            _list(store, as_json)
    finally:
        store.close()


@app.command("halt", epilog="\b\nExample:\n  slimcast rollout halt mwq9xk2b4c")
def halt(rollout_id: Id, as_json: Json = False) -> None:
    """Stop a roll-out: who has switched keeps the new model, everybody else the old one."""
    _request(rollout_id, "halt", as_json)


@app.command("revert", epilog="\b\nExample:\n  slimcast rollout revert mwq9xk2b4c")
def revert(rollout_id: Id, as_json: Json = False) -> None:
    """Give all devices of a roll-out the model back that they had before; also once it is finished."""
    _request(rollout_id, "revert", as_json)


def _request(rollout_id: str, what: str, as_json: bool) -> None:
    from slimcast.store import Store

    store = Store.open(Settings.from_environment())
    try:
        _tell(store.rollouts.request(rollout_id, what), as_json)
    finally:
        store.close()


def _list(store: "Store", as_json: bool) -> None:
    from slimcast.fleet_records import RolloutStep

    found = store.rollouts.newest()
    if as_json:
        output.print_json([_document(rollout) for rollout in found])
    elif found:
        output.print_table(
            ["roll-out", "state", "active", "created", "model"],
            [
                [
                    rollout.id,
                    rollout.state.value,
                    f"{rollout.count(RolloutStep.ACTIVE)} of {len(rollout.devices)}",
                    local_time(rollout.created_at),
                    rollout.title,
                ]
                for rollout in found
            ],
        )
    else:
        typer.echo("There is no roll-out yet. `slimcast rollout start --help` says how to begin.", err=True)


def _tell(rollout: "Rollout", as_json: bool) -> None:
    if as_json:
        output.print_json(_document(rollout))
        return
    stage = (
        f", stage {rollout.stage + 1} of {len(rollout.plan.stages)}" if rollout.stage >= 0 else ", not begun"
    )
    state = f"{rollout.state}{stage if rollout.state.is_open() else ''}"
    typer.echo(f"Roll-out {rollout.id}: {rollout.title}, {state}. {rollout.reason}".rstrip())
    output.print_table(
        ["device", "stage", "step", "since", "why"],
        [
            [
                device.name,
                str(device.stage + 1),
                device.step.value.replace("_", " "),
                local_time(device.at) if device.at else "-",
                device.message,
            ]
            for device in rollout.devices
        ],
    )
    if rollout.request:
        typer.echo(f"The {rollout.request} is noted; the running studio carries it out.", err=True)
    elif rollout.state.is_open() and time.time() - rollout.looked_at > 30:
        typer.echo("It goes on while a studio runs: slimcast app", err=True)


def _document(rollout: "Rollout") -> dict[str, Any]:
    document = dataclasses.asdict(rollout) | {"plan": rollout.plan.model_dump(mode="json")}
    return {"rollout": document.pop("id")} | document
