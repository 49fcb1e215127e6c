"""The command ``free``: what deleted runs still hold on the disk."""

import time
from typing import Annotated

import typer

from slimcast.settings import Settings


def free(
    days: Annotated[
        float, typer.Option(min=0, help="Only runs that were deleted at least so many days ago.")
    ] = 7.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this, only say how much it is.")] = False,
) -> None:
    """Delete runs for good that were deleted, with the files that nothing else uses."""
    from slimcast.fleet.in_use import artifacts_in_use
    from slimcast.store import Store

    settings = Settings.from_environment()
    store = Store.open(settings)
    try:
        act = store.freeing.free if yes else store.freeing.look
        found = act(time.time() - days * 86400, artifacts_in_use(settings))
    finally:
        store.close()
    size = f"{found.size_bytes / 1e6:.1f} MB in {len(found.files)} files"
    if yes:
        typer.echo(f"{len(found.runs)} runs are deleted for good; freed {size}.")
    else:
        typer.echo(f"{len(found.runs)} deleted runs hold {size} that nothing else uses.")
    if found.shared:
        typer.echo(f"{found.shared} of their files stay: other runs, devices or roll-outs use them.")
    if found.needed:
        typer.echo(f"Other recipes begin with these runs, so they stay: {', '.join(found.needed)}")
    if found.runs and not yes:
        typer.echo("They cannot come back after: slimcast free --yes", err=True)
