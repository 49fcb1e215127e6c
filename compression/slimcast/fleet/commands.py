"""What the command line does with the fleet: connect, act, wait, clean up."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Protocol

from slimcast.errors import FleetError
from slimcast.fleet import expulsion, rollbacks
from slimcast.fleet.benchmarks import BenchmarkPlan, measure_models
from slimcast.fleet.board import last_heard
from slimcast.fleet.hub import FleetHub
from slimcast.fleet.records import Device
from slimcast.fleet.selection import select
from slimcast.fleet.withdrawal import check_allowed
from slimcast.records import Benchmark, Variant
from slimcast.settings import Settings
from slimcast.store import Store

CONNECT_TIMEOUT_S = 8.0
DISCOVERY_S = 3.0
NEVER_SEEN = "The studio has never noted a device of this name: is it spelt as `slimcast devices` lists it?"
_POLL_S = 0.05


class Told(Protocol):
    """Is told of each new state of a device."""

    def __call__(self, device: Device, revision: int) -> None:
        """Take in a device; `revision` is that of the order which is waited for."""


def publish(
    settings: Settings,
    run: str,
    variant: str,
    device: str,
    timeout_s: float = 120.0,
    on_change: Told | None = None,
) -> Device:
    """Publish a variant of a run to a device, serve it, and return the device once it has settled.

    Raises:
        FleetError: no broker, no such device or variant, another studio's key, or the device did not settle.
        RunNotFound: no run has that id.
    """
    with connected(settings) as (hub, store):
        chosen = artifact_of(store, run, variant)
        _wait_heard(hub, device)
        name = f"{store.run(run).name} {chosen.name}"
        revision = hub.publish(device, chosen.artifact or "", name)
        told = None if on_change is None else partial(on_change, revision=revision)
        settled = hub.wait_settled(device, revision, timeout_s, told)
        if settled.reported is not None and settled.reported.revision > revision:
            raise FleetError(f"A newer order has replaced this one meanwhile. {last_heard(settled)}")
        return settled


def benchmark(
    settings: Settings, run: str, variants: Sequence[str], device: str, plan: BenchmarkPlan
) -> list[Benchmark]:
    """Have a device measure variants of a run, keep the figures in the store, and return them.

    Raises:
        FleetError: no broker, no such device or variant, or the device cannot do it.
        RunNotFound: no run has that id.
    """
    with connected(settings) as (hub, store):
        title = store.run(run).name
        chosen = [artifact_of(store, run, name) for name in variants]
        _wait_heard(hub, device)
        models = [(one.artifact or "", f"{title} {one.name}") for one in chosen]
        return measure_models(hub, store, device, models, plan)


def devices(settings: Settings, wait_s: float = 2.0) -> list[Device]:
    """Return the devices of which something is heard within that time.

    Raises:
        FleetError: no broker answers.
    """
    with connected(settings) as (hub, _):
        time.sleep(wait_s)
        return hub.devices()


def roll_back(settings: Settings, to: Sequence[str], wait_s: float = 2.0) -> dict[str, str]:
    """Have the selected devices go back to their former models; return what went wrong with each.

    Raises:
        FleetError: no broker answers.
        RolloutError: nobody is selected.
    """
    with connected(settings) as (hub, store):
        chosen = [device.name for device in select(store.devices.all(), to)]
        time.sleep(wait_s)  # the broker tells of its devices
        return rollbacks.roll_back(hub, chosen)


def forget(settings: Settings, name: str) -> None:
    """Forget a device: what the store has noted of it, and what the broker retains.

    Raises:
        FleetError: no broker answers, the device is online, or nobody knows it.
    """
    with connected(settings) as (hub, store):
        heard = _wait_status(hub, name)
        if heard:
            hub.forget(name)
        with suppress(FleetError) if heard else nullcontext():
            store.devices.remove(name)


def expel(settings: Settings, name: str) -> list[str]:
    """Take a device out of the lab; return what is left to do, in sentences.

    Raises:
        FleetError: no device can have that name, or a file cannot be written.
    """

    def clear(device: str) -> None:
        with connected(settings) as (hub, _):
            hub.turn_out(device)

    store = Store.open(settings)
    try:
        is_known = any(device.name == name for device in store.devices.all())
        left = expulsion.expel(settings, store, name, clear)
        return left if is_known else [*left, NEVER_SEEN]
    finally:
        store.close()


@contextmanager
def connected(settings: Settings) -> Iterator[tuple[FleetHub, Store]]:
    """Give a hub that has its broker, and the store, for as long as the block lasts.

    Raises:
        FleetError: no broker answers.
    """
    store = Store.open(settings)
    hub = FleetHub(settings, store)
    try:
        hub.start()
        hub.wait_connected(CONNECT_TIMEOUT_S)
        yield hub, store
    finally:
        hub.stop()
        store.close()


def artifact_of(store: Store, run: str, name: str) -> Variant:
    """Return the variant of that name, which has an artifact that may be published.

    Raises:
        FleetError: there is none, or it has none, which lists those there are; or it is withdrawn.
        RunNotFound: no run has that id.
    """
    chosen = find_variant(store, run, name)
    check_allowed(store, chosen.artifact or "")
    return chosen


def find_variant(store: Store, run: str, name: str) -> Variant:
    """Return the variant of that name, which has an artifact; raises as `artifact_of`, withdrawn or not."""
    found = store.run(run)
    variants = store.variants(found.id)
    chosen = next((variant for variant in variants if variant.name == name), None)
    publishable = ", ".join(variant.name for variant in variants if variant.artifact) or "none yet"
    if chosen is None:
        raise FleetError(f"Run {found.id} has no variant {name[:80]!r}. Those to publish: {publishable}.")
    if chosen.artifact is None:
        raise FleetError(
            f"Variant {name} of run {found.id} has no artifact. Those to publish: {publishable}."
        )
    return chosen


def _wait_heard(hub: FleetHub, device: str) -> None:
    """Give the broker a moment to tell of the device, and the device one to be online with its key."""
    deadline = time.monotonic() + DISCOVERY_S
    while time.monotonic() < deadline:
        with suppress(FleetError):
            heard = hub.device(device)
            if heard.online and heard.about is not None and heard.reported is not None:
                return
        time.sleep(_POLL_S)


def _wait_status(hub: FleetHub, device: str) -> bool:
    """Give the broker a moment to tell whether a device is online; return whether it told of it at all."""
    deadline, heard = time.monotonic() + DISCOVERY_S, False
    while time.monotonic() < deadline:
        with suppress(FleetError):
            status = hub.device(device).status
            heard = True
            if status is not None:  # what else is retained may come before it
                break
        time.sleep(_POLL_S)
    return heard
