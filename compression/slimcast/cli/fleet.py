"""Commands for one device: publish to it, and the key that it pins."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slimcast.cli import output
from slimcast.cli.exits import FAILED
from slimcast.settings import Settings
from slimcast_edge.errors import UnknownKind

if TYPE_CHECKING:
    from slimcast.fleet import Device
    from slimcast.records import Benchmark

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def publish(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or the beginning of it.")],
    variant: Annotated[str, typer.Option(help="Name of the variant, as `slimcast show RUN` lists it.")],
    device: Annotated[str, typer.Option(help="Name of the device, as `slimcast devices` lists it.")],
    timeout: Annotated[float, typer.Option(min=1, help="How long to wait for the device, s.")] = 120.0,
    as_json: Json = False,
) -> None:
    """Publish a variant to a device, and wait until the device has put it to work or refused it."""
    from slimcast.fleet import commands
    from slimcast_edge.wire import DeviceState

    settings = Settings.from_environment()
    _check_variant(settings, run_id, variant)
    settled = commands.publish(settings, run_id, variant, device, timeout, _ChangePrinter())
    if as_json:
        output.print_json(device_document(settled))
    else:
        typer.echo(f"{settled.name}: {_describe(settled)}")
    if settled.reported is None or settled.reported.state is not DeviceState.ACTIVE:
        raise typer.Exit(FAILED)


def benchmark(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or the beginning of it.")],
    variant: Annotated[
        list[str],
        typer.Option(help="Name of a variant; give it twice to measure two, such as float and int8."),
    ],
    device: Annotated[str, typer.Option(help="Name of the device, as `slimcast devices` lists it.")],
    seconds: Annotated[float, typer.Option(min=0.05, max=60, help="How long to time each, s.")] = 2.0,
    threads: Annotated[
        int | None, typer.Option(min=1, max=64, help="Threads that compute; else the device's own setting.")
    ] = None,
    pause: Annotated[
        bool, typer.Option("--pause", help="Leave the camera's frames alone meanwhile.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, help="How long to wait for the device, s.")] = 300.0,
    as_json: Json = False,
) -> None:
    """Have a device fetch a variant, measure it and keep the figures; what it runs stays as it is."""
    from slimcast.fleet import commands
    from slimcast.fleet.benchmarks import BenchmarkPlan

    settings = Settings.from_environment()
    for name in variant:
        _check_variant(settings, run_id, name)
    plan = BenchmarkPlan(seconds=seconds, threads=threads, pause=pause, timeout_s=timeout)
    found = commands.benchmark(settings, run_id, variant, device, plan)
    if as_json:
        output.print_json([dataclasses.asdict(one) for one in found])
        return
    output.print_table(
        ["variant", "p50, ms", "p90, ms", "p99, ms", "spread, ms", "runs", "RAM, MB", "heat, °C", "notes"],
        [_figures_row(name, one) for name, one in zip(variant, found, strict=True)],
    )
    typer.echo(found[0].clock)


def device_document(device: "Device") -> dict[str, Any]:
    """Return a device as `devices --json` lists it; null where it has not said so."""
    parts = {
        name: None if part is None else part.model_dump(mode="json")
        for name, part in (
            ("status", device.status),
            ("about", device.about),
            ("reported", device.reported),
            ("telemetry", device.telemetry),
        )
    }
    return {"device": device.name, "online": device.online, "last_seen": device.last_seen} | parts


def _check_variant(settings: Settings, run_id: str, variant: str) -> None:
    from slimcast.store import Store

    store = Store.open(settings)
    try:
        names = [known.name for known in store.variants(store.run(run_id).id)]
    finally:
        store.close()
    if variant not in names:
        known = ", ".join(names) or "none"
        raise UnknownKind(f"Run {run_id} has no variant {variant!r}. Known: {known}.")


def _figures_row(variant: str, found: "Benchmark") -> list[str]:
    heat = [found.temperature_before_c, found.temperature_after_c]
    notes = [
        *(["throttled"] if found.throttled else []),
        *([f"became {found.slowdown:.2f} times slower"] if found.got_slower else []),
        *(["others computed too"] if found.busy else []),
    ]
    times = [f"{value:.3f}" for value in (found.p50_ms, found.p90_ms, found.p99_ms, found.std_ms)]
    return [
        variant,
        *times,
        str(found.runs),
        f"{found.peak_rss_mb:.0f}",
        " to ".join("-" if value is None else f"{value:.0f}" for value in heat),
        ", ".join(notes) or "-",
    ]


def device_row(device: "Device") -> list[str]:
    """Return a device as `devices` lists it."""
    return [
        device.name,
        "yes" if device.online else "no",
        device.reported.active_name if device.reported and device.reported.active_name else "-",
        device.reported.state.value if device.reported else "-",
        f"{device.telemetry.fps:.1f}" if device.telemetry else "-",
        device.about.hardware if device.about else "-",
    ]


class _ChangePrinter:
    """Prints each new state of a device once, on its way to the last one."""

    def __init__(self) -> None:
        self._told = ""

    def __call__(self, device: "Device", revision: int) -> None:
        if device.reported is not None and device.reported.revision >= revision:
            if device.reported.state.is_settled():
                return  # that is the answer, on stdout
            told = _describe(device)
        elif device.online:
            told = "ordered"  # what it says of the order before is no news
        else:
            told = "offline; it finds the order when it is back"
        if told != self._told:
            typer.echo(f"{device.name}: {told}", err=True)
        self._told = told


def _describe(device: "Device") -> str:
    from slimcast_edge.wire import DeviceState

    reported = device.reported
    if reported is None:
        return "has not reported yet"
    progress = f" {reported.progress:.0%}" if reported.state is DeviceState.DOWNLOADING else ""
    return f"{reported.state}{progress}" + (
        f" ({reported.message or reported.reason})" if reported.reason else ""
    )
