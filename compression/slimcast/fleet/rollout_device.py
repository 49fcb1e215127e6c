"""One device in a roll-out: what it has said since, and what that means for its step. Pure functions."""

from dataclasses import replace
from typing import Any

from slimcast.fleet.records import Device
from slimcast.fleet_records import Rollout, RolloutDevice, RolloutPlan, RolloutState, RolloutStep
from slimcast_edge.wire import ArtifactRef, DeviceState, EventKind

STRIKES = 3
"""As many telemetry messages in a row must show a device to be slow."""
_S = RolloutStep
MINE = (_S.WAITING, _S.DUE, _S.ORDERED, _S.ACTIVE, _S.RETURN_DUE, _S.RETURNING)
"""Steps of a device that the roll-out still looks after."""


def heard(rollout: Rollout, d: RolloutDevice, device: Device | None, now: float) -> RolloutDevice:
    """Take in what is known of a device at Unix time `now`, s."""
    if device is None or d.step not in MINE:
        return d
    wanted = d.previous if d.step in {_S.WAITING, _S.DUE, _S.RETURNING} else rollout.artifact
    d = _newer_order(d, device, wanted, now)
    if d.step is _S.ORDERED:
        return _ordered(rollout, d, device, now)
    if d.step is _S.ACTIVE and rollout.state is RolloutState.RUNNING:
        return _active(rollout, d, device, now)
    if d.step is _S.RETURNING:
        return _returning(d, device, now)
    return d


def _newer_order(d: RolloutDevice, device: Device, wanted: str | None, now: float) -> RolloutDevice:
    """Notice an order that came after ours: the same model with other settings goes on, another replaces."""
    order = device.desired
    if d.revision < 0:  # the first look at a device that waits
        ref: ArtifactRef | None = order.artifact if order else None
        return replace(d, revision=order.revision if order else 0, previous=ref.sha256 if ref else None)
    if order is None or order.revision <= d.revision:
        return d
    if (order.artifact.sha256 if order.artifact else None) == wanted:
        return replace(d, revision=order.revision)
    name = order.artifact.name if order.artifact else "no model"
    return moved(
        d, _S.REPLACED, now, f"A newer order ({name}, revision {order.revision}) has taken its place."
    )


def _ordered(rollout: Rollout, d: RolloutDevice, device: Device, now: float) -> RolloutDevice:
    reported = device.reported
    if reported is None or reported.revision < d.revision:
        return d
    if reported.state is DeviceState.ACTIVE and reported.active == rollout.artifact:
        return replace(moved(d, _S.ACTIVE, now), active_at=reported.at, heard_at=reported.at)
    if reported.state in {DeviceState.FAILED, DeviceState.ROLLED_BACK}:
        return moved(d, _S.FAILED, now, reported.message or f"It reported {reported.state}.")
    return d


def _active(rollout: Rollout, d: RolloutDevice, device: Device, now: float) -> RolloutDevice:
    reported = device.reported
    if reported is not None and reported.active != rollout.artifact and reported.state.is_settled():
        return moved(d, _S.FAILED, now, reported.message or "It went back to another model.")
    errors = sum(event.kind is EventKind.ERROR and event.at > d.active_at for event in device.events)
    if errors > rollout.plan.max_errors:
        return moved(d, _S.FAILED, now, f"It reported {errors} errors with the new model.")
    return _speed(rollout.plan, d, device, now)


def _speed(plan: RolloutPlan, d: RolloutDevice, device: Device, now: float) -> RolloutDevice:
    telemetry = device.telemetry
    if telemetry is None or telemetry.at <= d.heard_at:
        return d
    latency_ms, fps = telemetry.latency_p50_ms, telemetry.fps
    slow = bool(d.latency_before_ms) and latency_ms > plan.max_latency_factor * d.latency_before_ms
    few = bool(d.fps_before) and fps < plan.min_fps_share * d.fps_before
    if not (slow or few):
        # Only what changes a decision is kept: a healthy device costs no write.
        return replace(d, strikes=0, heard_at=telemetry.at) if d.strikes else d
    d = replace(d, strikes=d.strikes + 1, heard_at=telemetry.at)
    if d.strikes < STRIKES:
        return d
    if slow:
        why = f"It takes {latency_ms:.2f} ms for an image; before it took {d.latency_before_ms:.2f} ms."
    else:
        why = f"It answers {fps:.1f} frames/s; before it answered {d.fps_before:.1f}."
    return moved(d, _S.FAILED, now, why)


def _returning(d: RolloutDevice, device: Device, now: float) -> RolloutDevice:
    reported = device.reported
    if reported is None or reported.revision < d.revision or not reported.state.is_settled():
        return d
    if reported.active == d.previous:
        return moved(d, _S.RETURNED, now, d.message)
    return moved(d, _S.KEPT, now, reported.message or "It did not take its former model back.")


def turned(
    rollout: Rollout, d: RolloutDevice, device: Device | None, now: float, *, revert: bool
) -> RolloutDevice:
    """Decide what a halt means for one device."""
    if d.step in {_S.WAITING, _S.DUE}:
        return moved(d, _S.SPARED, now)
    runs_it = bool(device and device.reported and device.reported.active == rollout.artifact)
    if d.step is _S.FAILED and not runs_it:
        # It has brought itself back; now its order shall say so, too. Else a later order of the same model
        # as it runs would look like a change, and a device that lost its disk would try the bad one again.
        return moved(d, _S.RETURN_DUE, now, d.message) if d.previous else d
    switched = d.step in {_S.ACTIVE, _S.FAILED}
    if d.step is not _S.ORDERED and not (switched and revert):
        return d
    if d.previous == rollout.artifact:
        return moved(d, _S.KEPT, now, "It ran this model before the roll-out, too.")
    if not d.previous:
        return moved(d, _S.KEPT, now, "It had no model before that it could go back to.")
    return moved(d, _S.RETURN_DUE, now, d.message)


def before(device: Device | None) -> dict[str, Any]:
    """Return what a device ran before the order, and how fast."""
    reported, telemetry = (device.reported, device.telemetry) if device is not None else (None, None)
    has_model = reported is not None and reported.active is not None
    measured = telemetry if has_model and device is not None and device.online else None
    return {
        "previous": reported.active if reported else None,
        "previous_name": reported.active_name if reported else "",
        "latency_before_ms": measured.latency_p50_ms if measured else 0.0,
        "fps_before": measured.fps if measured else 0.0,
    }


def moved(d: RolloutDevice, step: RolloutStep, now: float, message: str = "") -> RolloutDevice:
    """Return a device at another step, with what there is to say of that."""
    return replace(d, step=step, at=now, message=message[:600], tried_at=0.0, strikes=0)
