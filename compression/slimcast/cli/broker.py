"""The command ``broker-config``: what a Mosquitto needs to serve this studio and its devices safely."""

import os
import socket
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from slimcast.settings import Settings


def broker_config(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; completed if it is there.")],
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address under which cameras reach the broker; may be repeated."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="[8883; 1883 without TLS]")] = None,
    tls: Annotated[
        bool, typer.Option("--tls/--no-tls", help="Encrypt, with an authority of its own.")
    ] = True,
    client_certificates: Annotated[
        bool, typer.Option("--client-certificates", help="Certificates instead of passwords.")
    ] = False,
    certificate_for: Annotated[
        list[str] | None,
        typer.Option(metavar="DEVICE", help="Also make a client certificate for a device; may be repeated."),
    ] = None,
    inside: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Where the broker finds this folder, if it runs in a container."),
    ] = None,
) -> None:
    """Write mosquitto.conf, rights, passwords and certificates for this studio's site."""
    from slimcast.fleet.mosquitto import BrokerPlan, write_folder

    folder = folder.expanduser().resolve()
    plan = BrokerPlan(
        site=Settings.from_environment().site,
        folder=PurePosixPath(inside or folder),
        port=port or (8883 if tls else 1883),
        tls=tls or client_certificates,
        client_certificates=client_certificates,
        reloadable=inside is None,
    )
    if inside is not None:
        plan = replace(plan, persistence="/mosquitto/data/")
    written = write_folder(folder, plan, host or [socket.gethostname(), "localhost", "127.0.0.1"])
    for device in certificate_for or ():
        certificate, key = written.client_certificate(device)
        typer.echo(f"{device}: {certificate}, {key}")
    if inside is None and os.geteuid() == 0:
        own = f"chgrp -R mosquitto {folder} && chmod g+s {folder}"
        typer.echo(f"Let Mosquitto, which root starts as the user mosquitto, read it:  {own}")
    start = f"mosquitto -c {plan.folder / 'mosquitto.conf'}"
    typer.echo(f"Wrote {folder}. Start the broker:  {start}")
    typer.echo(f"Start the studio:  set -a; . {folder / 'studio.env'}; set +a; slimcast app")
    typer.echo("Who must be able to read what: docs/security.md")
