"""The commands ``key``: the studio's public key, which devices pin, and its replacement by another."""

from typing import Annotated

import typer

from slimcast.settings import Settings

app = typer.Typer(
    help="Print the studio's public key, which a device pins; list its keys; replace it.",
    epilog='\b\nExample:\n  slimcast-edge enroll --config edge.toml --key "$(slimcast key)"',
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def key(context: typer.Context) -> None:
    """Print the studio's public key, which a device pins."""
    from slimcast.fleet.keys import studio_key
    from slimcast_edge.signing import public_key_to_text

    if context.invoked_subcommand is None:
        typer.echo(public_key_to_text(studio_key(Settings.from_environment()).public_key()))


@app.command("list", epilog="\b\nExample:\n  slimcast key list")
def list_keys() -> None:
    """List the fingerprints of the studio's keys: the one that signs, the next one, the former ones."""
    from slimcast.fleet.keys import next_key, retired_keys, studio_key
    from slimcast_edge.signing import fingerprint

    settings = Settings.from_environment()
    typer.echo(f"{fingerprint(studio_key(settings).public_key())}  signs")
    fresh = next_key(settings)
    if fresh is not None:
        typer.echo(f"{fingerprint(fresh)}  next")
    for former in retired_keys(settings):
        typer.echo(f"{fingerprint(former)}  retired")


@app.command("rotate", epilog="\b\nExample:\n  slimcast key rotate && slimcast key rotate --finish")
def rotate(
    finish: Annotated[bool, typer.Option("--finish", help="Sign with the next key from now on.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Finish although devices do not know the key; they are lost.")
    ] = False,
) -> None:
    """Replace the studio's key: first all devices learn the next one, then (--finish) it takes over."""
    from slimcast.fleet import rotation

    settings = Settings.from_environment()
    if finish:
        done = rotation.finish(settings, force=force)
        typer.echo(f"Orders are signed with {done.fingerprint} now. Restart a studio that runs.")
    else:
        done = rotation.begin(settings)
        typer.echo(
            f"The next key is {done.fingerprint}. Pinned by: {', '.join(done.ready) or 'no device yet'}"
        )
    if done.waiting:
        typer.echo(f"Not yet by: {', '.join(done.waiting)}. Bring them online, then run this once more.")
    elif not finish:
        typer.echo("Every device knows it. Let it take over with: slimcast key rotate --finish")
