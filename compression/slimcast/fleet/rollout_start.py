"""From what a person writes (run, variant, to whom, in which stages) to a roll-out that can begin."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from slimcast.errors import RolloutError
from slimcast.fleet.commands import artifact_of
from slimcast.fleet.selection import select
from slimcast.fleet_records import KnownDevice, Rollout, RolloutDevice, RolloutPlan, Stage
from slimcast.store import Store

RECENT_S = 300.0
"""A device that was heard of within that time goes before one that was not: a canary should be awake."""


@dataclass(frozen=True, kw_only=True)
class RolloutWish:
    """What is to be rolled out: `to` lists ``all``, ``group:NAME``, ``label:NAME[=VALUE]`` or devices' names.

    `first` names devices that the first stages shall reach; the others follow, those that are awake first.
    """

    run: str
    variant: str
    to: tuple[str, ...]
    plan: RolloutPlan
    first: tuple[str, ...] = ()


def start(store: Store, wish: RolloutWish) -> Rollout:
    """Note a roll-out in the store; the studio that has the devices takes it up within a second.

    Raises:
        RolloutError: nobody is selected, or the selection is written wrongly.
        FleetError: no such variant, or it has no artifact. RunNotFound: no such run.
    """
    run = store.run(wish.run)
    chosen = artifact_of(store, run.id, wish.variant)
    return store.rollouts.create(
        Rollout(
            id="",
            title=f"{run.name} {chosen.name}"[:200],
            run_id=run.id,
            variant=chosen.name,
            artifact=chosen.artifact or "",
            plan=wish.plan,
            devices=line_up(select(store.devices.all(), wish.to), wish.plan.stages, wish.first, time.time()),
            created_at=0.0,
        )
    )


def line_up(
    devices: Sequence[KnownDevice], stages: Sequence[Stage], first: Sequence[str], now: float
) -> tuple[RolloutDevice, ...]:
    """Put devices in the order in which they are reached, each with the number of its stage.

    Raises:
        RolloutError: a device that shall be first is not among them.
    """
    names = {device.name for device in devices}
    if missing := [name for name in first if name not in names]:
        raise RolloutError(f"{missing[0][:80]!r} shall be first, but it is not selected.")

    def place(device: KnownDevice) -> tuple[int, bool, str]:
        rank = first.index(device.name) if device.name in first else len(first)
        return rank, now - device.last_seen > RECENT_S, device.name

    ends = [stage.reach(len(devices)) for stage in stages]
    return tuple(
        RolloutDevice(name=device.name, stage=next(i for i, end in enumerate(ends) if position < end))
        for position, device in enumerate(sorted(devices, key=place))
    )


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Read stages such as ``1, 25%, 100%``: numbers of devices and percentages, the earlier included.

    Raises:
        RolloutError: it is written in another way.
    """
    stages = []
    for word in (part.strip() for part in text.split(",")):
        number = word.removesuffix("%").strip()
        try:
            is_share = word.endswith("%")
            stages.append(Stage(share=float(number) / 100) if is_share else Stage(count=int(number)))
        except (ValueError, ValidationError) as error:
            raise RolloutError(
                f"{word[:40]!r} is no stage. Write devices and percentages, such as '1, 25%, 100%'."
            ) from error
    return tuple(stages)


def make_plan(**fields: object) -> RolloutPlan:
    """Return a plan; what is not given has its default.

    Raises:
        RolloutError: a value is out of range; all that are wrong are named.
    """
    try:
        return RolloutPlan.model_validate(fields)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'stages'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_url=False, include_input=False)
        ]
        raise RolloutError(f"The roll-out cannot be planned so: {'; '.join(problems)}.") from error
