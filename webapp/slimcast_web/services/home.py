"""What Home shows: what goes on, what came of it, and the way of a first visit to frames on the screen."""

from dataclasses import dataclass
from enum import StrEnum

from slimcast.errors import FleetError
from slimcast.fleet.records import Device
from slimcast.records import Run, RunState, Variant
from slimcast_web.services import fleet
from slimcast_web.services.studio import Studio

_LOOKED_AT = 30
_RESULTS = 5


class Stage(StrEnum):
    """What is to be done next on a first visit."""

    COMPRESS = "compress"
    WAIT = "wait"
    CAMERA = "camera"
    CONNECT = "connect"
    PUBLISH = "publish"
    DEPLOY = "deploy"
    WATCH = "watch"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A run that has ended well, with what it began and ended with."""

    run: Run
    first: Variant
    last: Variant


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All of it. `run`: the one that the first visit is about, None before there is one."""

    live: list[Run]
    results: list[Result]
    devices: list[Device]
    stage: Stage
    run: Run | None

    @property
    def online(self) -> list[Device]:
        """Return the devices that are connected."""
        return [device for device in self.devices if device.online]


def overview(studio: Studio) -> Overview:
    """Look at everything once."""
    runs = studio.store.runs(limit=_LOOKED_AT)
    live = [run for run in runs if run.state in {RunState.QUEUED, RunState.RUNNING}]
    results = _results(studio, runs)
    devices = fleet.devices(studio)
    done = results[0].run if results else None
    return Overview(
        live=live,
        results=results,
        devices=devices,
        stage=_stage(studio, live, done, [device for device in devices if device.online]),
        run=done or next(iter(live), None),
    )


def start_first_run(studio: Studio) -> Run:
    """Queue the recipe that the demo takes: small, and done within a minute.

    Raises:
        FleetError: it is missing from the installation. StoreError: the store cannot take it.
    """
    from slimcast.demo.setup import demo_recipe

    return studio.queue.submit(demo_recipe())


def switch_on_camera(studio: Studio) -> None:
    """Start the simulated camera.

    Raises:
        FleetError: the client does not take the studio's key.
    """
    studio.camera.switch_on()


def publish_first(studio: Studio) -> str:
    """Publish what the newest run has left to the first device that is connected; return its name.

    Raises:
        FleetError: no device is connected, the broker is away, or there is nothing to publish.
    """
    now = overview(studio)
    if not now.online:
        raise FleetError(
            "No camera is connected. Switch on the simulated one, or connect one on the Fleet page."
        )
    if not now.results:
        raise FleetError("No run has left a model yet. Start one on the Compress page.")
    what = fleet.publishable(studio, now.results[0].run.id)[0]
    fleet.publish(studio, now.online[0].name, what)
    return now.online[0].name


def _results(studio: Studio, runs: list[Run]) -> list[Result]:
    found: list[Result] = []
    for run in runs:
        if run.state is not RunState.SUCCEEDED:
            continue
        variants = [variant for variant in studio.store.variants(run.id) if variant.artifact]
        if variants:
            found.append(Result(run=run, first=variants[0], last=variants[-1]))
        if len(found) == _RESULTS:
            break
    return found


def _stage(studio: Studio, live: list[Run], done: Run | None, online: list[Device]) -> Stage:
    if any(device.reported is not None and device.reported.active for device in online):
        return Stage.WATCH
    if done is None:
        return Stage.WAIT if live else Stage.COMPRESS
    if not online:
        return Stage.CONNECT if studio.camera.is_on else Stage.CAMERA
    ordered = any(device.reported is not None and device.reported.revision > 0 for device in online)
    return Stage.DEPLOY if ordered else Stage.PUBLISH
