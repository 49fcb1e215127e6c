"""Commands of the studio itself: what there is to use, checking a recipe, the web app, the demo."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from slimcast.cli import output
from slimcast.cli.exits import FAILED, OK
from slimcast.errors import StoreError
from slimcast.settings import Settings
from slimcast_edge.registry import Registry


def catalog(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """List everything that a recipe or a device's configuration can name."""
    sections = {
        section: [{"name": entry.name, "title": entry.title} for entry in registry]
        for section, registry in _registries().items()
    }
    if as_json:
        output.print_json(sections)
        return
    rows = [
        [section, entry["name"], entry["title"]] for section, found in sections.items() for entry in found
    ]
    output.print_table(["sort", "name", "title"], rows)


def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="The recipe to check.")]) -> None:
    """Check a recipe without running it; all its errors are listed."""
    from slimcast.recipe import load_recipe

    recipe = load_recipe(file)
    steps = ", ".join(step.kind for step in recipe.steps)
    typer.echo(f"{file} is a valid recipe: {recipe.name} ({steps}), hash {recipe.hash[:12]}")


def samples(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Name of a data set in the catalog.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.npz", help="Where to write them.")],
    path: Annotated[
        str | None, typer.Option(help="Of the set 'folder': where it is, from the data root on.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=8, max=512, help="Side, pixels; default: its own.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="How many at most.")] = None,
) -> None:
    """Write held-out images and their labels, for a simulated camera to show."""
    from slimcast.data.samples import write_samples
    from slimcast.recipe.subject import DataSpec

    spec = DataSpec(name=data, path=path or None, image_size=size, test_samples=count)
    written = write_samples(spec, out, root=Settings.from_environment().data_root)
    typer.echo(f"{written} images of {data} are in {out}", err=True)


def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen [SLIMCAST_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="[SLIMCAST_PORT, 8501]")] = None,
) -> None:
    """Start the web app; Ctrl-C ends it."""
    given = {"SLIMCAST_HOST": host, "SLIMCAST_PORT": None if port is None else str(port)}
    environment = os.environ | {name: value for name, value in given.items() if value is not None}
    Settings.from_environment(environment)
    if importlib.util.find_spec("slimcast_web") is None:
        raise StoreError("The web app is not installed. Install it with: pip install 'slimcast[studio]'")
    os.execve(sys.executable, [sys.executable, "-m", "slimcast_web"], environment)


def demo(
    once: Annotated[bool, typer.Option("--once", help="No browser: print one JSON summary and end.")] = False,
) -> None:
    """Train, compress, publish and watch a small network on this machine; needs no device and no download."""
    from slimcast.demo import run_demo

    with output.stdout_kept_clean():
        summary = run_demo(Settings.from_environment(), once=once)
    if once:
        output.print_json(summary)
    raise typer.Exit(OK if summary else FAILED)


def _registries() -> dict[str, Registry]:
    from slimcast.catalog import CRITERIA, DATA, FACTORIZERS, MODELS, QUANTIZERS, STEPS
    from slimcast_edge.camera import CAMERAS
    from slimcast_edge.runtime import RUNTIMES

    return {
        "models": MODELS,
        "data": DATA,
        "steps": STEPS,
        "criteria": CRITERIA,
        "factorizers": FACTORIZERS,
        "quantizers": QUANTIZERS,
        "cameras": CAMERAS,
        "runtimes": RUNTIMES,
    }
