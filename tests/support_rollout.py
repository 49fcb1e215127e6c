"""Devices for roll-outs: as a hub would show them, and a small simulated fleet that obeys orders."""

from dataclasses import dataclass, field, replace

from slimcast.errors import FleetError
from slimcast.fleet.records import Device
from slimcast.fleet.rollout_start import line_up
from slimcast.fleet_records import KnownDevice, Rollout, RolloutPlan
from slimcast_edge import wire
from slimcast_edge.wire import DeviceState

OLD, NEW = "0" * 64, "1" * 64
T0 = 1_000_000.0


def telemetry(at: float = T0, **more) -> wire.Telemetry:
    values = {
        "session": "s1", "at": at, "uptime_s": 60, "fps": 30.0, "latency_p50_ms": 2.0, "latency_p90_ms": 3.0,
        "frames": 900, "dropped": 0, "rss_mb": 90, "temperature_c": 50.0, "throttled": False,
    }  # fmt: skip
    return wire.Telemetry.model_validate(values | more)


def fleet_device(name: str, *, active: str | None = OLD, online: bool = True, at: float = T0) -> Device:
    """A device that runs `active` under revision 1."""
    return Device(
        name=name,
        status=wire.Status(online=online, session="s1", since=at),
        desired=order(name, 1, active) if active else None,
        reported=wire.Reported(
            session="s1", revision=1, state=DeviceState.ACTIVE if active else DeviceState.IDLE, active=active,
            active_name="old" if active else "", at=at,
        ),
        telemetry=telemetry(at),
        last_seen=at,
    )  # fmt: skip


def order(name: str, revision: int, artifact: str) -> wire.Desired:
    ref = wire.ArtifactRef(sha256=artifact, size_bytes=10, chunk_bytes=1024, name="model")
    return wire.Desired(site="lab", device=name, revision=revision, artifact=ref)


def new_rollout(names: list[str], plan: RolloutPlan | None = None, **more) -> Rollout:
    plan = plan or RolloutPlan(watch_s=60, patience_s=600)
    known = [KnownDevice(name=name, last_seen=T0) for name in names]
    devices = line_up(known, plan.stages, (), T0)
    values = {"id": "r1", "title": "new", "run_id": "run", "variant": "0-train", "artifact": NEW} | more
    return Rollout(**values, plan=plan, devices=devices, created_at=T0)


@dataclass
class SimulatedFleet:
    """A hub's port whose devices do what they are told, each in its way.

    Attributes:
        refusing: refuse any new model. crashing: run it, then leave for ever.
        slowing: run it at a tenth of the speed.
    """

    known: dict[str, Device]
    now: float = T0
    connected: bool = True
    refusing: set[str] = field(default_factory=set)
    crashing: set[str] = field(default_factory=set)
    slowing: set[str] = field(default_factory=set)
    orders: list[tuple[str, str]] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def devices(self) -> list[Device]:
        return list(self.known.values())

    def publish(self, device: str, artifact_sha256: str, name: str) -> int:
        if not self.connected:
            raise FleetError("No MQTT broker answers.")
        if device not in self.known:
            raise FleetError(f"Nothing has been heard of a device {device!r}.")
        known = self.known[device]
        revision = max(known.desired.revision if known.desired else 0, known.reported.revision) + 1
        self.known[device] = replace(known, desired=order(device, revision, artifact_sha256))
        self.orders.append((device, artifact_sha256))
        return revision

    def command(self, device: str, name: str, args: dict, timeout_s: float) -> wire.Reply:
        self.commands.append((device, name))
        return wire.Reply(id="x", ok=True)

    def own_order(self, device: str) -> wire.Desired | None:
        return self.known[device].desired

    def repeat_order(self, device: str) -> None:
        self.repeated.append(device)

    def pass_time(self, seconds: float) -> None:
        """Let the devices that are online do what they were ordered, and send telemetry."""
        self.now += seconds
        for name, device in self.known.items():
            if device.online:
                self.known[name] = self._obey(device)

    def set_online(self, name: str, online: bool) -> None:
        status = wire.Status(online=online, session="s1", since=self.now)
        self.known[name] = replace(self.known[name], status=status)

    def _obey(self, device: Device) -> Device:
        order, reported = device.desired, device.reported
        if order is not None and order.revision > reported.revision:
            reported = self._carried_out(device.name, order, reported)
        new = reported.active == NEW
        if new and device.name in self.crashing:
            return replace(device, reported=reported, status=replace_status(device, online=False))
        slow = 10.0 if new and device.name in self.slowing else 1.0
        spoken = telemetry(self.now, latency_p50_ms=2.0 * slow, fps=30.0 / slow)
        return replace(device, reported=reported, telemetry=spoken, last_seen=self.now)

    def _carried_out(self, name: str, order: wire.Desired, reported: wire.Reported) -> wire.Reported:
        change = {"revision": order.revision, "at": self.now, "reason": "", "message": ""}
        if name in self.refusing and order.artifact.sha256 == NEW:
            change |= {"state": DeviceState.FAILED, "reason": "too_slow", "message": "It is too slow."}
        else:
            change |= {"state": DeviceState.ACTIVE, "active": order.artifact.sha256, "active_name": "model"}
        return reported.model_copy(update=change)


def replace_status(device: Device, *, online: bool) -> wire.Status:
    return device.status.model_copy(update={"online": online})


def simulated(count: int, **more) -> SimulatedFleet:
    names = [f"cam{number:02d}" for number in range(count)]
    return SimulatedFleet({name: fleet_device(name) for name in names}, **more)
