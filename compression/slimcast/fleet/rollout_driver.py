"""Drives the roll-outs in the store: asks the state machine, sends what is due, writes down the outcome."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from slimcast.errors import FleetError, StoreError
from slimcast.fleet import rollout as machine
from slimcast.fleet.records import Device
from slimcast.fleet.rollout import Order
from slimcast.fleet_records import Rollout, RolloutState
from slimcast.store.rollouts import Rollouts
from slimcast_edge.wire import Reply

SENDS_AT_ONCE = 20
"""Orders in one turn; the other duties come in between, and a chunk serves more devices at a time."""
SENDING_S = 5.0
"""How long one turn may send: a broker or a device that does not answer must not hold up all else."""
NOTE_EVERY_S = 10.0
COMMAND_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class Hub(Protocol):
    """What is needed of `FleetHub`."""

    def publish(self, device: str, artifact_sha256: str, name: str) -> int:
        """Order a device to run an artifact; return the order's revision."""

    def command(self, device: str, name: str, args: dict[str, Any], timeout_s: float) -> Reply:
        """Send a command and return its reply."""


class RolloutDriver:
    """One turn for each call of `tick`. Of two drivers on one store, each change is made by one of them."""

    def __init__(self, hub: Hub, rollouts: Rollouts, expelled: Callable[[], Collection[str]] = tuple) -> None:
        self._hub, self._rollouts, self._expelled = hub, rollouts, expelled

    def tick(self, devices: Mapping[str, Device], now: float) -> None:
        """Look after all roll-outs; `now` is a Unix time, s.

        Raises:
            StoreError: the store cannot be used.
        """
        waiting = self._rollouts.to_look_after()
        for index, before in enumerate(waiting):
            after = self._look_after(before, waiting[index + 1 :], devices, now)
            if _is_news(before, after) and not self._rollouts.save(before, after):
                _log.info("Roll-out %s was changed by somebody else; looking again.", before.id)
            if after.state is not before.state:
                _log.info("Roll-out %s is %s. %s", after.id, after.state, after.reason)

    def _look_after(
        self, rollout: Rollout, newer: Sequence[Rollout], devices: Mapping[str, Device], now: float
    ) -> Rollout:
        for other in newer:
            if other.state is RolloutState.RUNNING:
                why = f"Roll-out {other.id} has taken its place."
                rollout = machine.give_up(rollout, {d.name for d in other.devices}, why, now)
        rollout = machine.give_up(rollout, self._expelled(), "It has been expelled.", now)
        rollout = machine.advance(_asked(rollout, devices, now), devices, now)
        deadline = time.monotonic() + SENDING_S
        for order in machine.orders_due(rollout, now)[:SENDS_AT_ONCE]:
            if time.monotonic() > deadline:
                break
            rollout = self._send(rollout, order, devices.get(order.device), now)
        return rollout

    def _send(self, rollout: Rollout, order: Order, device: Device | None, now: float) -> Rollout:
        try:
            revision = self._hub.publish(order.device, order.artifact, order.name)
        except StoreError as error:
            if order.back and device is not None and _runs(device, rollout.artifact):
                return self._roll_back(rollout, order, now)
            return machine.unsent(rollout, order, str(error), now)
        except FleetError as error:
            return machine.unsent(rollout, order, str(error), now)
        return machine.sent(rollout, order, revision, device, now)

    def _roll_back(self, rollout: Rollout, order: Order, now: float) -> Rollout:
        """Have a device go back by itself: its former model is not in the store, but still on its disk."""
        try:
            reply = self._hub.command(order.device, "rollback", {}, COMMAND_TIMEOUT_S)
        except FleetError as error:
            return machine.unsent(rollout, order, str(error), now)
        if not reply.ok:
            return machine.unsent(rollout, order, reply.error or "It did not roll back.", now)
        return machine.settled_back(rollout, order.device, "It went back by itself.", now)


def _asked(rollout: Rollout, devices: Mapping[str, Device], now: float) -> Rollout:
    """Do what somebody has asked for."""
    asked, rollout = rollout.request, replace(rollout, request="")
    if asked == "revert":
        return machine.halt(rollout, devices, now, reason="Reverted by hand.", revert=True)
    if asked == "halt" and rollout.state is RolloutState.RUNNING:
        return machine.halt(rollout, devices, now, reason="Halted by hand.", revert=False)
    return rollout


def _runs(device: Device, artifact: str) -> bool:
    return device.online and device.reported is not None and device.reported.active == artifact


def _is_news(before: Rollout, after: Rollout) -> bool:
    # That somebody looks is noted now and then only: it changes nothing but the next start.
    changed = replace(after, looked_at=before.looked_at) != before
    return changed or after.looked_at - before.looked_at >= NOTE_EVERY_S
