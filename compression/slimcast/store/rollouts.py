"""The roll-outs of a site. Who changes one says which version the change is based on; of two, one loses."""

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from slimcast.errors import RolloutError, RunNotFound
from slimcast.fleet_records import Rollout, RolloutDevice, RolloutPlan, RolloutState, RolloutStep
from slimcast.store import rows, tables
from slimcast.store.database import SiteRows

t, d = tables.rollouts, tables.rollout_devices
_OPEN = [state.value for state in RolloutState if state.is_open()]
_DEVICE_FIELDS = [field.name for field in dataclasses.fields(RolloutDevice)]
_ROLLOUT_FIELDS = [field.name for field in dataclasses.fields(Rollout) if field.name != "devices"]


class Rollouts(SiteRows):
    """Rows of roll-outs."""

    def create(self, rollout: Rollout) -> Rollout:
        """Add a roll-out under a new id; the studio that has the devices takes it up."""
        now = time.time()
        rollout = dataclasses.replace(rollout, id=rows.new_id(now), created_at=now)
        with self._database.writing() as connection:
            connection.execute(insert(t).values(site=self._site, **_values(rollout)))
            connection.execute(
                insert(d),
                [
                    {"rollout_id": rollout.id, "position": position} | _device_values(device)
                    for position, device in enumerate(rollout.devices)
                ],
            )
        return rollout

    def get(self, id_or_prefix: str) -> Rollout:
        """Return a roll-out by its id, or by the beginning of it.

        Raises:
            RunNotFound: there is none, or more than one.
        """
        with self._database.reading() as connection:
            return self._read(connection, [self._find(connection, id_or_prefix)])[0]

    def newest(self, limit: int = 20) -> list[Rollout]:
        """Return the newest roll-outs, the last one first."""
        query = select(t).where(t.c.site == self._site).order_by(t.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return self._read(connection, connection.execute(query).all())

    def to_look_after(self) -> list[Rollout]:
        """Return those that are open, or of which something is asked; the oldest first."""
        wanted = or_(t.c.state.in_(_OPEN), t.c.request != "")
        query = select(t).where(t.c.site == self._site, wanted).order_by(t.c.id)
        with self._database.reading() as connection:
            return self._read(connection, connection.execute(query).all())

    def save(self, before: Rollout, after: Rollout) -> bool:
        """Write a change; return False, and write nothing, when another was faster."""
        changed = [
            {"id_": after.id, "position_": position} | _device_values(device)
            for position, (old, device) in enumerate(zip(before.devices, after.devices, strict=True))
            if old != device
        ]
        with self._database.writing() as connection:
            here = (t.c.id == after.id, t.c.version == before.version)
            values = _values(after) | {"version": before.version + 1}
            if connection.execute(update(t).where(*here).values(**values)).rowcount != 1:
                return False
            if changed:
                row = (d.c.rollout_id == bindparam("id_"), d.c.position == bindparam("position_"))
                connection.execute(update(d).where(*row), changed)
        return True

    def request(self, id_or_prefix: str, what: str) -> Rollout:
        """Ask for ``halt`` or ``revert``; the studio that drives it does so within seconds.

        Raises:
            RunNotFound: there is no such roll-out.
            RolloutError: it is past the point where that could be done.
        """
        with self._database.writing() as connection:
            row = self._find(connection, id_or_prefix)
            state = RolloutState(row.state)
            if what == "halt" and state is not RolloutState.RUNNING:
                raise RolloutError(f"Roll-out {row.id} is {state}: there is nothing to halt.")
            if what == "revert" and state in {
                RolloutState.REVERTING,
                RolloutState.REVERTED,
                RolloutState.REPLACED,
            }:
                raise RolloutError(f"Roll-out {row.id} is {state}: there is nothing to revert.")
            change = {"request": what, "version": row.version + 1}
            connection.execute(update(t).where(t.c.id == row.id).values(**change))
            return self._read(connection, [self._find(connection, row.id)])[0]

    def _find(self, connection: Connection, id_or_prefix: str) -> Row[Any]:
        begins_so = t.c.id.startswith(id_or_prefix, autoescape=True)
        query = select(t).where(t.c.site == self._site, begins_so).order_by(t.c.id.desc()).limit(3)
        found = connection.execute(query).all()
        if not found or not id_or_prefix:
            raise RunNotFound(
                f"No roll-out has the id {id_or_prefix[:40]!r}. `slimcast rollout show` lists them all."
            )
        if len(found) > 1:
            some = ", ".join(row.id for row in found)
            raise RunNotFound(f"More than one roll-out has an id that begins with {id_or_prefix!r}: {some}")
        return found[0]

    def _read(self, connection: Connection, found: Iterable[Row[Any]]) -> list[Rollout]:
        rollouts = list(found)
        devices: dict[str, list[RolloutDevice]] = {row.id: [] for row in rollouts}
        query = select(d).where(d.c.rollout_id.in_(list(devices))).order_by(d.c.rollout_id, d.c.position)
        for row in connection.execute(query) if rollouts else ():
            devices[row.rollout_id].append(_to_device(row))
        return [_to_rollout(row, tuple(devices[row.id])) for row in rollouts]


def _values(rollout: Rollout) -> dict[str, Any]:
    values = {name: getattr(rollout, name) for name in _ROLLOUT_FIELDS}
    return values | {"state": rollout.state.value, "plan": rollout.plan.model_dump(mode="json")}


def _device_values(device: RolloutDevice) -> dict[str, Any]:
    return {name: getattr(device, name) for name in _DEVICE_FIELDS} | {"step": device.step.value}


def _to_device(row: Row[Any]) -> RolloutDevice:
    values = {name: row._mapping[name] for name in _DEVICE_FIELDS}
    return RolloutDevice(**values | {"step": RolloutStep(values["step"])})


def _to_rollout(row: Row[Any], devices: tuple[RolloutDevice, ...]) -> Rollout:
    values = {name: row._mapping[name] for name in _ROLLOUT_FIELDS}
    plan = RolloutPlan.model_validate(values["plan"])
    return Rollout(**values | {"state": RolloutState(values["state"]), "plan": plan, "devices": devices})
