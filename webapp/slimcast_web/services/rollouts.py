"""Roll-outs: to whom, how they stand, and what is asked of them."""

import time

from slimcast.fleet import rollout_start
from slimcast.fleet.rollout_start import RolloutWish
from slimcast.fleet_records import Rollout, RolloutState, RolloutStep
from slimcast_edge.wire import DeviceState
from slimcast_web.services import figures, fleet
from slimcast_web.services.studio import Studio

SHOWN_AFTER_END = 3
"""Roll-outs that have ended, beside all that go on."""
_DONE = (RolloutStep.ACTIVE,)


def targets(studio: Studio) -> list[str]:
    """Return to whom something can be rolled out: all, groups, labels, then devices by name."""
    known = studio.store.devices.all()
    groups = sorted({group for device in known for group in device.groups})
    labels = sorted({label for device in known for label in device.labels})
    words = [f"group:{group}" for group in groups] + [f"label:{label}" for label in labels]
    return (["all", *words] if known else []) + [device.name for device in known]


def start(studio: Studio, wish: RolloutWish) -> Rollout:
    """Start a roll-out.

    Raises:
        SlimcastError: what is wanted cannot be done, and why.

    """
    return rollout_start.start(studio.store, wish)


def shown(studio: Studio) -> list[Rollout]:
    """Return those that go on and the last few that have ended, the newest first."""
    newest = studio.store.rollouts.newest(20)
    ended = [rollout for rollout in newest if not rollout.state.is_open()][:SHOWN_AFTER_END]
    return [rollout for rollout in newest if rollout.state.is_open() or rollout in ended]


def arrived(studio: Studio, rollout: Rollout) -> dict[str, str]:
    """Return how much of the model has arrived at those devices of a roll-out that download it now."""
    names = {device.name for device in rollout.devices}
    return {
        device.name: fleet.arrived(device)
        for device in studio.hub.devices()
        if device.name in names
        and device.reported is not None
        and device.reported.state is DeviceState.DOWNLOADING
        and device.desired is not None
        and device.desired.artifact is not None
        and device.desired.artifact.sha256 == rollout.artifact
    }


def request(studio: Studio, rollout_id: str, what: str) -> None:
    """Ask for ``halt`` or ``revert``.

    Raises:
        SlimcastError: it is past that.

    """
    studio.store.rollouts.request(rollout_id, what)


def can_revert(rollout: Rollout) -> bool:
    """Return whether there is something to bring back."""
    gone = {RolloutState.REVERTING, RolloutState.REVERTED, RolloutState.REPLACED}
    return (
        rollout.state not in gone
        and rollout.count(RolloutStep.ORDERED, RolloutStep.ACTIVE, RolloutStep.FAILED) > 0
    )


def share_done(rollout: Rollout) -> float:
    """Return the share of its devices that run the model; of a return, that of those that are back."""
    if rollout.state in {RolloutState.REVERTING, RolloutState.REVERTED}:
        back = rollout.count(RolloutStep.RETURNED)
        return back / max(1, back + rollout.count(RolloutStep.RETURN_DUE, RolloutStep.RETURNING))
    return rollout.count(*_DONE) / max(1, len(rollout.devices))


def progress(rollout: Rollout, now: float | None = None) -> str:
    """Return how far it is, in a sentence."""
    now = time.time() if now is None else now
    total = len(rollout.devices)
    if rollout.state in {RolloutState.REVERTING, RolloutState.REVERTED}:
        return f"{figures.plural(rollout.count(RolloutStep.RETURNED), 'device')} back on the former model"
    text = f"{rollout.count(*_DONE)} of {figures.plural(total, 'device')}"
    if rollout.state is not RolloutState.RUNNING or rollout.stage < 0:
        return f"{text} run it"
    reach = sum(device.stage <= rollout.stage for device in rollout.devices)
    stages = f"stage {rollout.stage + 1} of {len(rollout.plan.stages)} reaches {reach}"
    if rollout.watch_at is not None:
        left = figures.duration(max(0.0, rollout.watch_at + rollout.plan.watch_s - now))
        return f"{text} run it; {stages}, watched for {left} more"
    pending = rollout.count(RolloutStep.DUE, RolloutStep.ORDERED)
    return f"{text} run it; {stages}, waiting for {pending}"
