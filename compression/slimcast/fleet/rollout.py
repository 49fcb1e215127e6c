"""A roll-out as a pure state machine: what is known of its devices and the time in, its next state out.

It publishes nothing. A device whose step is ``due`` or ``return_due`` waits for its order, see `orders_due`;
who sends it says so with `sent` or `unsent`. To call `advance` again at the same time changes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from slimcast.fleet.records import Device
from slimcast.fleet.rollout_device import MINE, before, heard, moved, turned
from slimcast.fleet_records import Rollout, RolloutDevice, RolloutPlan, RolloutState, RolloutStep
from slimcast.timing import is_due

GAP_S = 30.0
"""Nobody looked for so long: neither watch nor patience goes on meanwhile."""
RETRY_S = 10.0
_S = RolloutStep
_UNDONE = (_S.DUE, _S.ORDERED)

Devices = Mapping[str, Device]


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order that is to go out. `back`: to the model that the device ran before."""

    device: str
    artifact: str
    name: str
    back: bool


def advance(rollout: Rollout, devices: Devices, now: float) -> Rollout:
    """Take in what is known of the devices at Unix time `now`, s, and return the roll-out as it is then."""
    if not rollout.state.is_open():
        return rollout
    rollout = _without_gap(rollout, now)
    known = tuple(heard(rollout, d, devices.get(d.name), now) for d in rollout.devices)
    rollout = replace(rollout, devices=known)
    if rollout.state is not RolloutState.RUNNING:
        return _wind_up(rollout, now)
    if rollout.stage < 0:
        return _begin_stage(rollout, 0, now)
    return _run(rollout, devices, now)


def halt(rollout: Rollout, devices: Devices, now: float, *, reason: str, revert: bool) -> Rollout:
    """Stop: whoever has not switched yet keeps its model; who has gets the former one back if `revert`."""
    state = RolloutState.REVERTING if revert else RolloutState.HALTING
    after = tuple(turned(rollout, d, devices.get(d.name), now, revert=revert) for d in rollout.devices)
    return replace(
        rollout,
        state=state,
        reason=reason,
        devices=after,
        stage_at=now,
        watch_at=None,
        finished_at=None,
        looked_at=now,
    )


def give_up(rollout: Rollout, names: Collection[str], why: str, now: float) -> Rollout:
    """Look after the devices of these names no longer."""
    devices = tuple(
        moved(d, _S.REPLACED, now, why) if d.name in names and d.step in MINE else d for d in rollout.devices
    )
    return replace(rollout, devices=devices)


def orders_due(rollout: Rollout, now: float) -> list[Order]:
    """Return the orders that are to be sent now, in their devices' order."""
    orders = []
    for d in rollout.devices:
        if d.tried_at and not is_due(d.tried_at, RETRY_S, now):
            continue
        if d.step is _S.DUE:
            orders.append(Order(device=d.name, artifact=rollout.artifact, name=rollout.title, back=False))
        elif d.step is _S.RETURN_DUE and d.previous:
            orders.append(Order(device=d.name, artifact=d.previous, name=d.previous_name, back=True))
    return orders


def sent(rollout: Rollout, order: Order, revision: int, device: Device | None, now: float) -> Rollout:
    """Note that an order has gone out under this revision; `device` is as it was before."""

    def note(d: RolloutDevice) -> RolloutDevice:
        if order.back:
            why = "" if d.tried_at else d.message  # of tries in vain nothing is left to say
            return replace(moved(d, _S.RETURNING, now, why), revision=revision)
        return replace(moved(d, _S.ORDERED, now), revision=revision, **before(device))

    return _change(rollout, order.device, note)


def unsent(rollout: Rollout, order: Order, why: str, now: float) -> Rollout:
    """Note that an order could not go out; it is tried again a little later."""
    return _change(rollout, order.device, lambda d: replace(d, tried_at=now, message=why))


def settled_back(rollout: Rollout, name: str, message: str, now: float) -> Rollout:
    """Note that a device went back by itself, on a command."""
    return _change(rollout, name, lambda d: moved(d, _S.RETURNED, now, message))


# --- the stages


def _run(rollout: Rollout, devices: Devices, now: float) -> Rollout:
    plan = rollout.plan
    begun = [d for d in rollout.devices if d.stage <= rollout.stage and d.step is not _S.REPLACED]
    current = [d for d in begun if d.stage == rollout.stage]
    failed = sum(d.step is _S.FAILED for d in begun)
    if failed > round(plan.max_failed * len(begun), 9):
        return _halt_by_itself(rollout, devices, now, _failed_text(begun, failed, plan))
    if not current:
        return _end_stage(rollout, now)
    if rollout.watch_at is None:
        waiting = any(d.step in _UNDONE for d in current)
        if waiting and now - rollout.stage_at < plan.patience_s:
            return rollout
        rollout = replace(rollout, watch_at=now)
        lost = [d for d in begun if d.step is not _S.ACTIVE]
        if _too_few(begun, lost, plan):
            return _halt_by_itself(rollout, devices, now, _missing_text(begun, lost, plan))
    if now - (rollout.watch_at or now) < plan.watch_s:
        return rollout
    lost = [
        d for d in begun if d.step is not _S.ACTIVE or (d.stage == rollout.stage and not _online(devices, d))
    ]
    if _too_few(begun, lost, plan):
        return _halt_by_itself(rollout, devices, now, _missing_text(begun, lost, plan))
    return _end_stage(rollout, now)


def _begin_stage(rollout: Rollout, stage: int, now: float) -> Rollout:
    devices = tuple(
        moved(d, _S.DUE, now) if d.stage == stage and d.step is _S.WAITING else d for d in rollout.devices
    )
    return replace(rollout, stage=stage, stage_at=now, watch_at=None, devices=devices)


def _end_stage(rollout: Rollout, now: float) -> Rollout:
    if rollout.stage + 1 < len(rollout.plan.stages):
        return _begin_stage(rollout, rollout.stage + 1, now)
    if all(d.step is _S.REPLACED for d in rollout.devices):
        why = "Newer orders have taken its place on every device."
        return replace(rollout, state=RolloutState.REPLACED, reason=why, finished_at=now)
    return replace(rollout, state=RolloutState.SUCCEEDED, finished_at=now)


def _wind_up(rollout: Rollout, now: float) -> Rollout:
    impatient = now - rollout.stage_at >= rollout.plan.patience_s
    if impatient:  # an order that still cannot be sent is given up
        rollout = replace(
            rollout,
            devices=tuple(
                moved(d, _S.KEPT, now, d.message) if d.step is _S.RETURN_DUE and d.tried_at else d
                for d in rollout.devices
            ),
        )
    if rollout.count(_S.RETURN_DUE) or (rollout.count(_S.RETURNING) and not impatient):
        return rollout
    reverting = rollout.state is RolloutState.REVERTING
    state = RolloutState.REVERTED if reverting else RolloutState.HALTED
    return replace(rollout, state=state, finished_at=now)


def _halt_by_itself(rollout: Rollout, devices: Devices, now: float, reason: str) -> Rollout:
    return halt(rollout, devices, now, reason=reason, revert=rollout.plan.revert)


# --- small things


def _change(rollout: Rollout, name: str, change: Callable[[RolloutDevice], RolloutDevice]) -> Rollout:
    return replace(rollout, devices=tuple(change(d) if d.name == name else d for d in rollout.devices))


def _without_gap(rollout: Rollout, now: float) -> Rollout:
    gap_s = now - rollout.looked_at
    if rollout.looked_at and not 0 <= gap_s <= GAP_S:  # below 0: the clock was set back
        watch_at = None if rollout.watch_at is None else rollout.watch_at + gap_s
        rollout = replace(rollout, stage_at=rollout.stage_at + gap_s, watch_at=watch_at)
    return replace(rollout, looked_at=now)


def _online(devices: Devices, d: RolloutDevice) -> bool:
    device = devices.get(d.name)
    return device is not None and device.online


def _too_few(begun: list[RolloutDevice], lost: list[RolloutDevice], plan: RolloutPlan) -> bool:
    return len(begun) - len(lost) < round(plan.min_success * len(begun), 9)


def _failed_text(begun: list[RolloutDevice], failed: int, plan: RolloutPlan) -> str:
    first = next(d for d in begun if d.step is _S.FAILED)
    share = f"{plan.max_failed * 100:g} %"
    return f"{failed} of {len(begun)} devices failed (at most {share} may). {first.name}: {first.message}"


def _missing_text(begun: list[RolloutDevice], lost: list[RolloutDevice], plan: RolloutPlan) -> str:
    names = ", ".join(d.name for d in lost[:5]) + (", ..." if len(lost) > 5 else "")
    done, wanted = len(begun) - len(lost), f"{plan.min_success * 100:g} %"
    return f"Only {done} of {len(begun)} devices run it and are online ({wanted} must be). Missing: {names}."
