"""Frozen records of a fleet that last: devices with their labels, roll-outs, history, alerts.

They import nothing of the engine. Times are Unix times of the studio's clock, s, unless said otherwise.
"""

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_GROUP = re.compile(r"\w[\w .\-]{0,39}")
_LABEL = re.compile(r"\w[\w.\-]{0,39}(=\w[\w .\-]{0,59})?")
MAX_GROUPS, MAX_LABELS, MAX_NOTE_CHARS = 10, 20, 500


@dataclass(frozen=True, kw_only=True)
class KnownDevice:
    """What the store knows of a device.

    Attributes:
        groups, labels: sorted; a label is plain (``indoor``) or ``key=value``.
        baseline: how fast it was when its model was new, see `Baseline`; None until that is known.
    """

    name: str
    groups: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    note: str = ""
    first_seen: float = 0.0
    last_seen: float = 0.0
    baseline: "Baseline | None" = None


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A device's median speed in its first minutes with a model: latency (p50) in ms, frames a second."""

    artifact: str
    latency_ms: float
    fps: float


def label_problems(groups: tuple[str, ...], labels: tuple[str, ...], note: str) -> list[str]:
    """Return what is wrong with groups, labels and note, in sentences; empty when all is well."""
    problems = [
        f"{group[:60]!r} cannot be a group: letters, digits, spaces and . _ - only, at most 40."
        for group in groups
        if not _GROUP.fullmatch(group)
    ]
    problems += [
        f"{label[:60]!r} cannot be a label: write NAME or NAME=VALUE of letters, digits and . _ - only."
        for label in labels
        if not _LABEL.fullmatch(label)
    ]
    for what, number, limit in (
        ("groups", len(groups), MAX_GROUPS),
        ("labels", len(labels), MAX_LABELS),
        ("characters in the note", len(note), MAX_NOTE_CHARS),
    ):
        if number > limit:
            problems.append(f"There are {number} {what}; at most {limit} are kept.")
    return problems


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Stage(_Checked):
    """How far a stage reaches: so many devices, or such a share of all, the earlier stages included."""

    count: int | None = Field(default=None, ge=1, le=100_000)
    share: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.count is None) == (self.share is None):
            raise ValueError("a stage has either a count or a share")
        return self

    def reach(self, total: int) -> int:
        """Return how many of `total` devices are reached by the end of this stage."""
        wanted = self.count if self.count is not None else math.ceil(total * (self.share or 0.0) - 1e-9)
        return max(0, min(total, wanted))

    def __str__(self) -> str:
        return str(self.count) if self.count is not None else f"{(self.share or 0.0) * 100:g} %"


class RolloutPlan(_Checked):
    """How a roll-out proceeds, and what makes it stop.

    Attributes:
        stages: how far each reaches; the last one always reaches all.
        watch_s: how long a stage is watched once its devices have settled.
        patience_s: how long a stage waits for devices that are offline or slow to fetch. After that they
            count as not switched; their order stays, so they follow when they come back.
        min_success: share of the devices so far that must run the model (and be online after the watch).
        max_failed: share of them that may refuse it, roll back, or become unhealthy.
        max_errors: error events that a device may send before it counts as unhealthy.
        max_latency_factor: median latency, as a multiple of the one before. min_fps_share: frames a second,
            as a share of those before. Three messages in a row beyond them make a device unhealthy.
        revert: give the devices that have switched their former model when the roll-out halts by itself.
    """

    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=20)] = (
        Stage(count=1),
        Stage(share=0.25),
        Stage(share=1.0),
    )
    watch_s: float = Field(default=120.0, ge=0, le=7 * 86400)
    patience_s: float = Field(default=3600.0, ge=10, le=30 * 86400)
    min_success: float = Field(default=0.9, ge=0, le=1)
    max_failed: float = Field(default=0.1, ge=0, le=1)
    max_errors: int = Field(default=3, ge=0, le=15)
    max_latency_factor: float = Field(default=2.0, ge=1, le=1000)
    min_fps_share: float = Field(default=0.5, ge=0, le=1)
    revert: bool = True

    @model_validator(mode="after")
    def _last_reaches_all(self) -> Self:
        if self.stages[-1].share != 1.0:
            raise ValueError("the last stage must be 100 %")
        return self


class RolloutState(StrEnum):
    """Where a roll-out stands. Halting: orders that nobody has carried out yet are being taken back."""

    RUNNING = "running"
    HALTING = "halting"
    REVERTING = "reverting"
    SUCCEEDED = "succeeded"
    HALTED = "halted"
    REVERTED = "reverted"
    REPLACED = "replaced"

    def is_open(self) -> bool:
        """Return whether something is still to be done."""
        return self in {RolloutState.RUNNING, RolloutState.HALTING, RolloutState.REVERTING}


class RolloutStep(StrEnum):
    """Where one device stands in a roll-out.

    Its stage has not begun (waiting); the order is to go out (due), has gone out (ordered: a device that is
    offline finds it when it comes back); it runs the model (active); it has refused it, rolled back or become
    unhealthy (failed); a newer order has taken its place (replaced); its stage never came (spared); its
    former model is to be ordered again (return_due), has been (returning), runs again (returned), or cannot
    be brought back (kept).
    """

    WAITING = "waiting"
    DUE = "due"
    ORDERED = "ordered"
    ACTIVE = "active"
    FAILED = "failed"
    REPLACED = "replaced"
    SPARED = "spared"
    RETURN_DUE = "return_due"
    RETURNING = "returning"
    RETURNED = "returned"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class RolloutDevice:
    """One device of a roll-out.

    Attributes:
        stage: index of the stage that reaches it.
        revision: of the newest order that is ours; before ours: of the order that it had, -1 when unknown.
        previous, previous_name: what it ran (while it waits: what it was ordered to run) before.
        latency_before_ms, fps_before: as it said last before the order; 0 where it had not.
        at: when `step` began. tried_at: when an order was last tried in vain; 0 for never.
        message: why it is where it is, in a sentence.
        strikes: messages in a row with too low a speed. heard_at: the device's time of the last such message.
        active_at: the device's time at which it said that it runs the model.
    """

    name: str
    stage: int
    step: RolloutStep = RolloutStep.WAITING
    revision: int = -1
    previous: str | None = None
    previous_name: str = ""
    latency_before_ms: float = 0.0
    fps_before: float = 0.0
    at: float = 0.0
    tried_at: float = 0.0
    message: str = ""
    strikes: int = 0
    heard_at: float = 0.0
    active_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A model on its way to many devices.

    Attributes:
        title: what devices call the model. artifact: its sha256.
        stage: index of the stage under way, -1 before the first.
        stage_at: when it began. watch_at: when its devices had settled, None before that.
        looked_at: when it was last looked after; the time since then, if long, counts for no limit.
        request: ``halt`` or ``revert`` where somebody has asked for it, else empty.
        version: grows with each change; a change based on an older one is refused.
    """

    id: str
    title: str
    run_id: str
    variant: str
    artifact: str
    plan: RolloutPlan
    devices: tuple[RolloutDevice, ...]
    created_at: float
    state: RolloutState = RolloutState.RUNNING
    reason: str = ""
    stage: int = -1
    stage_at: float = 0.0
    watch_at: float | None = None
    looked_at: float = 0.0
    finished_at: float | None = None
    request: str = ""
    version: int = 0

    def count(self, *steps: RolloutStep) -> int:
        """Return how many devices are at one of these steps."""
        return sum(device.step in steps for device in self.devices)


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """A state that a device has reported: what it ran from `at` on, and why."""

    device: str
    at: float
    revision: int
    state: str
    artifact: str | None
    name: str
    reason: str = ""
    message: str = ""


class AlertKind(StrEnum):
    """What an alert is about."""

    OFFLINE = "offline"
    HOT = "hot"
    SLOW = "slow"
    DRIFTING = "drifting"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something about a device that somebody should look at.

    Attributes:
        opened_at: when it was noticed. resolved_at: when it was no longer so, None while it is.
        acknowledged_at: when somebody said that they know, None before that.
    """

    id: int
    device: str
    kind: AlertKind
    message: str
    opened_at: float
    resolved_at: float | None = None
    acknowledged_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """How often a device's model gave each label within one hour (Unix hours); `other`: of rarer labels."""

    device: str
    hour: int
    artifact: str
    counts: dict[str, int] = field(default_factory=dict)
    other: int = 0


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """An artifact that no device shall get any more. `name`: what it was published as. `at`: Unix time, s."""

    artifact: str
    name: str
    reason: str
    at: float
