"""Devices: how they stand, what can be published to them, and how a new one is connected."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from slimcast.errors import FleetError
from slimcast.fleet.enrolment import NewCode
from slimcast.fleet.keys import studio_key
from slimcast.fleet.records import Device
from slimcast.fleet.withdrawal import running
from slimcast.fleet_records import Withdrawal
from slimcast.records import Run, Variant
from slimcast_edge.signing import fingerprint, public_key_to_text
from slimcast_edge.wire import DeviceState
from slimcast_web.services import figures
from slimcast_web.services.studio import Studio

COMMAND_TIMEOUT_S = 10.0
PATH = (
    DeviceState.DOWNLOADING,
    DeviceState.VERIFYING,
    DeviceState.WARMING,
    DeviceState.PROBATION,
    DeviceState.ACTIVE,
)
"""The states of a deployment that goes well, in their order."""


@dataclass(frozen=True, kw_only=True)
class Connect:
    """What a camera must be told to work with this studio.

    Attributes:
        only_here: the broker takes no other machine.
        needs_user: the studio gives each device a user at the broker, so the key alone is of no use.

    """

    broker_url: str
    site: str
    public_key: str
    key_fingerprint: str
    only_here: bool
    needs_user: bool = False

    @property
    def commands(self) -> str:
        """Return what to type on the camera's machine."""
        if self.needs_user:
            return "\n".join(
                [
                    "pip install slimcast",
                    "slimcast-edge init edge.toml  # then choose the camera in it",
                    "slimcast-edge enroll --config edge.toml --studio URL --code CODE  # see above",
                    "slimcast-edge run --config edge.toml",
                ]
            )
        return "\n".join(
            [
                "pip install slimcast",
                f"export SLIMCAST_EDGE_BROKER={self.broker_url} SLIMCAST_EDGE_SITE={self.site}",
                "slimcast-edge init edge.toml  # then name the camera in it",
                f"slimcast-edge enroll --config edge.toml --key {self.public_key}",
                "slimcast-edge run --config edge.toml",
            ]
        )


@dataclass(frozen=True, kw_only=True)
class Publishable:
    """A variant that can be sent to a device."""

    run: Run
    variant: Variant
    artifact: str

    @property
    def title(self) -> str:
        """Return what the device will call it."""
        return f"{self.run.name} {self.variant.name}"


def devices(studio: Studio) -> list[Device]:
    """Return all devices, those that are connected first."""
    return sorted(studio.hub.devices(), key=lambda device: (not device.online, device.name))


def device_names(studio: Studio) -> list[str]:
    """Return the names of all devices, sorted."""
    return sorted(device.name for device in studio.hub.devices())


def publishable(studio: Studio, run_id: str) -> list[Publishable]:
    """Return the variants of a run that have an artifact, the last step first.

    Raises:
        RunNotFound: there is no such run.

    """
    run = studio.store.run(run_id)
    variants = studio.store.variants(run.id)
    return [Publishable(run=run, variant=v, artifact=v.artifact) for v in reversed(variants) if v.artifact]


def runs_to_publish(studio: Studio, limit: int = 30) -> list[Run]:
    """Return the newest runs that have left an artifact."""
    runs = [run for run in studio.store.runs(limit=limit) if run.started_at]
    return [run for run in runs if any(variant.artifact for variant in studio.store.variants(run.id))]


def publish(studio: Studio, device: str, what: Publishable) -> int:
    """Order a device to run a variant; return the order's revision.

    Raises:
        FleetError: the broker is away, or the device cannot be ordered. StoreError: the artifact is gone.

    """
    return studio.hub.publish(device, what.artifact, what.title)


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """A model that is withdrawn, and the devices that have it still."""

    what: Withdrawal
    devices: list[str]


def withdrawn(studio: Studio) -> list[Withdrawn]:
    """Return what is withdrawn, the newest first."""
    devices = studio.hub.devices()
    return [
        Withdrawn(what=one, devices=running(devices, one.artifact)) for one in studio.store.withdrawals.all()
    ]


def withdraw(studio: Studio, what: Publishable, reason: str) -> None:
    """Publish a variant to no device any more, and serve it to none."""
    studio.store.withdrawals.add(what.artifact, what.title, reason)


def rollback(studio: Studio, device: str) -> None:
    """Have a device go back to the model that it had before.

    Raises:
        FleetError: it did not answer, or has none to go back to.

    """
    reply = studio.hub.command(device, "rollback", {}, COMMAND_TIMEOUT_S)
    if not reply.ok:
        raise FleetError(f"{device} did not roll back: {reply.error or 'it gave no reason'}")


def arrived(device: Device) -> str:
    """Return how much of the ordered model a device has, as it reports: ``3.10 MB of 14.0 MB (22 %)``."""
    reported, order = device.reported, device.desired
    if reported is None:
        return ""
    share = f"{reported.progress * 100:.0f} %"
    if order is None or order.artifact is None or order.revision != reported.revision:
        return share  # of which order it speaks is not known here
    total = order.artifact.size_bytes
    return f"{figures.size(round(reported.progress * total))} of {figures.size(total)} ({share})"


def passed(studio: Studio, device: Device) -> list[DeviceState]:
    """Return the states that the device has been in for its newest revision, in their order."""
    if device.reported is None:
        return []
    revision = device.reported.revision
    return [
        seen.reported.state for seen in studio.history.of(device.name) if seen.reported.revision == revision
    ]


def connect(studio: Studio) -> Connect:
    """Return what a new camera must be told.

    Raises:
        FleetError: the studio's key cannot be read.

    """
    settings = studio.settings
    key = studio_key(settings).public_key()
    return Connect(
        broker_url=_without_password(settings.effective_broker_url),
        site=settings.site,
        public_key=public_key_to_text(key),
        key_fingerprint=fingerprint(key),
        only_here=not settings.broker_url,
        needs_user=settings.broker_folder is not None,
    )


def new_code(studio: Studio, device: str) -> NewCode:
    """Make a one-time code with which a device of this name can enrol.

    Raises:
        FleetError: no device can have that name, or the code cannot be kept.

    """
    return studio.enrolment.new_code(device.strip())


def studio_address(page_url: str | None, studio: Studio) -> str:
    """Return the address under which a device reaches the studio: the one that the browser uses."""
    parts = urlsplit(page_url or studio.settings.web_url())
    return f"{parts.scheme}://{parts.netloc}"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if not parts.username:
        return url
    address = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://USER:PASSWORD@{address}"
