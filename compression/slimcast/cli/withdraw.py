"""The command ``withdraw``: a model that no device shall get any more."""

from typing import Annotated

import typer

from slimcast.settings import Settings


def withdraw(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or the beginning of it.")],
    variant: Annotated[str, typer.Option(help="Name of the variant, as `slimcast show RUN` lists it.")],
    reason: Annotated[str, typer.Option(help="Why; shown to who wants to publish it.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Allow it again.")] = False,
) -> None:
    """Withdraw a variant: it is published to no device and served to none; devices that run it are listed."""
    from slimcast.fleet.commands import find_variant
    from slimcast.store import Store

    store = Store.open(Settings.from_environment())
    try:
        chosen = find_variant(store, run_id, variant)
        artifact, name = chosen.artifact or "", f"{store.run(chosen.run_id).name} {chosen.name}"
        if undo:
            was = store.withdrawals.remove(artifact)
            typer.echo(f"{name} may be published again." if was else f"{name} was not withdrawn.")
            return
        store.withdrawals.add(artifact, name, reason)
        last = store.device_log.last()
    finally:
        store.close()
    names = sorted(device for device, entry in last.items() if entry.artifact == artifact)
    typer.echo(f"{name} is withdrawn. Devices that ran it last: {', '.join(names) or 'none that is known'}")
