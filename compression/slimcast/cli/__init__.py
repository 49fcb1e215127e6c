"""The command line. Each command calls one function of the library, and imports it only then."""

import os
from typing import Annotated

import typer

import slimcast
from slimcast.cli import (
    broker,
    devices,
    enrolment,
    fleet,
    free,
    keys,
    rollouts,
    runs,
    search,
    studio,
    withdraw,
)
from slimcast.cli.exits import EXIT_CODES, SlimcastGroup

app = typer.Typer(
    name="slimcast",
    cls=SlimcastGroup,
    help="Compress a vision model, cast it to the cameras on your network, watch it work.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_recipe = typer.Typer(
    help="Look at recipes without running them.", no_args_is_help=True, rich_markup_mode=None
)


def _example(line: str) -> str:
    # \b keeps click from wrapping what follows.
    return f"\b\nExample:\n  {line}"


_recipe.command("check", epilog=_example("slimcast recipe check my-recipe.yaml"))(studio.check)
app.command("run", epilog=_example("slimcast run examples/recipes/lenet5-digits-int8.yaml --out result"))(
    runs.run
)
app.command("runs", epilog=_example("slimcast runs --state failed --json"))(runs.list_runs)
app.command("show", epilog=_example("slimcast show mwq4wkm8bq"))(runs.show)
app.command("resume", epilog=_example("slimcast resume mwq4wkm8bq"))(runs.resume)
app.command("cancel", epilog=_example("slimcast cancel mwq4wkm8bq"))(runs.cancel)
app.command("free", epilog=_example("slimcast free --days 30 --yes"))(free.free)
app.command("search", epilog=_example("slimcast search examples/searches/lenet5-digits.yaml"))(search.search)
app.command("publish", epilog=_example("slimcast publish mwq4wkm8bq --variant 3-int8 --device cam1"))(
    fleet.publish
)
app.command(
    "benchmark", epilog=_example("slimcast benchmark mwq4wkm8bq --variant 3-int8 --device cam1 --pause")
)(fleet.benchmark)
devices.app.command("enrol", epilog=_example("slimcast devices enrol cam1"))(enrolment.enrol)
app.add_typer(devices.app, name="devices", epilog=_example("slimcast devices --json"))
app.add_typer(
    rollouts.app, name="rollout", epilog=_example("slimcast rollout start RUN --variant 3-int8 --to all")
)
app.command("alerts", epilog=_example("slimcast alerts --acknowledge 7"))(devices.alerts)
app.command(
    "withdraw",
    epilog=_example('slimcast withdraw mwq4wkm8bq --variant 3-int8 --reason "sees cats everywhere"'),
)(withdraw.withdraw)
app.add_typer(keys.app, name="key")
app.command("broker-config", epilog=_example("slimcast broker-config broker --host studio.local"))(
    broker.broker_config
)
app.command("catalog", epilog=_example("slimcast catalog --json"))(studio.catalog)
app.add_typer(_recipe, name="recipe")
app.command("samples", epilog=_example("slimcast samples digits --out digits.npz"))(studio.samples)
app.command("app", epilog=_example("slimcast app --port 8600"))(studio.serve)
app.command("demo", epilog=_example("slimcast demo --once"))(studio.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slimcast {slimcast.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    # Before PyTorch loads OpenMP: threads that wait asleep. Spinning ones take the cores from a second run.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
