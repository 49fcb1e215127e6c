"""The command ``enrol``: a one-time code for a new device."""

import time
from typing import Annotated

import typer

from slimcast.settings import Settings, is_loopback


def enrol(
    device: Annotated[str, typer.Argument(metavar="NAME", help="What the device is to be called.")],
) -> None:
    """Make a one-time code with which a device enrols at this studio, whose web app must run."""
    from slimcast.fleet.enrolment import EnrolmentDesk

    settings = Settings.from_environment()
    made = EnrolmentDesk(settings).new_code(device)
    minutes = (made.expires_at - time.time()) / 60
    typer.echo(made.command(settings.web_url().partition("?")[0]))
    typer.echo(
        f"Run this on {device} within {minutes:.0f} minutes; the code works once. Where the client has a "
        "settings file add --config FILE; where install.sh made it a service: sudo -u slimcast ... "
        "--config /etc/slimcast/edge.toml",
        err=True,
    )
    if is_loopback(settings.host):
        typer.echo(
            "This studio listens on its own machine only. For devices elsewhere, start it with "
            "SLIMCAST_HOST=0.0.0.0.",
            err=True,
        )
