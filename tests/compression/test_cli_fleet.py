"""Commands for devices, roll-outs and alerts over a store, without a broker."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from slimcast.cli import app
from slimcast.cli.fleet import _ChangePrinter
from slimcast.errors import FleetError
from slimcast.fleet import commands
from slimcast.fleet.records import Device
from slimcast.fleet_records import AlertKind, HistoryEntry
from slimcast.store import Store
from slimcast_edge.wire import DeviceState, Reply, Reported, Status
from support_rollout import T0
from support_store import make_recipe, make_settings, make_variant


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    settings = make_settings(tmp_path / "home")
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    store = Store.open(settings)
    store.devices.seen({"cam1": T0, "cam2": T0})
    yield store
    store.close()


def slim(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_groups_and_labels_are_added_replaced_and_removed(store):
    slim(
        "devices", "set", "cam1", "--group", "lobby", "--group", "door", "--label", "room=2", "--label", "dim"
    )
    done = slim("devices", "set", "cam1", "--no-group", "door", "--label", "room=3", "--no-label", "dim")
    assert done.exit_code == 0
    assert done.stdout == "cam1: groups lobby; labels room=3\n"
    assert slim("devices", "set", "cam1", "--note", "Left.").stdout.endswith("note: Left.\n")
    assert store.devices.get("cam1").labels == ("room=3",)


def test_a_wrong_label_and_an_unknown_device_are_sentences(store):
    wrong = slim("devices", "set", "cam1", "--label", "=x")
    assert (wrong.exit_code, wrong.stderr.count("cannot be a label")) == (2, 1)
    assert slim("devices", "set", "cam9", "--group", "x").exit_code == 4


def test_history_is_a_table_or_json(store):
    store.device_log.add(
        [HistoryEntry(device="cam1", at=T0, revision=3, state="active", artifact="a" * 64, name="m 3-int8")]
    )
    assert "m 3-int8" in slim("devices", "history", "cam1").stdout
    assert json.loads(slim("devices", "history", "cam1", "--json").stdout)[0]["revision"] == 3


def test_a_roll_out_is_started_shown_and_halted(store):
    run = store.create_run(make_recipe())
    store.save_variant(replace(make_variant(run.id), artifact="a" * 64))
    started = slim(
        "rollout", "start", run.id, "--variant", "0-train", "--to", "all", "--first", "cam2", "--json",
        "--stages", "1,100%", "--no-revert",
    )  # fmt: skip
    document = json.loads(started.stdout)
    assert (document["state"], document["plan"]["revert"]) == ("running", False)
    assert [device["name"] for device in document["devices"]] == ["cam2", "cam1"]
    shown = slim("rollout", "show", document["rollout"][:8])
    assert "lenet5-digits 0-train, running, not begun" in shown.stdout
    assert "slimcast app" in shown.stderr
    assert document["rollout"] in slim("rollout", "show").stdout
    assert "halt is noted" in slim("rollout", "halt", document["rollout"]).stderr
    assert store.rollouts.get(document["rollout"]).request == "halt"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--to", "group:x"], 2, "selects no device"),
        (["--to", "all", "--stages", "2"], 2, "last stage must be 100 %"),
        (["--to", "all", "--stages", "many"], 2, "is no stage"),
        (["--to", "all", "--watch", "-1"], 2, "watch_s"),
    ],
)
def test_what_cannot_be_rolled_out_is_said(store, options: list[str], code: int, said: str):
    run = store.create_run(make_recipe())
    store.save_variant(replace(make_variant(run.id), artifact="a" * 64))
    result = slim("rollout", "start", run.id, "--variant", "0-train", *options)
    assert (result.exit_code, store.rollouts.newest()) == (code, [])
    assert said in result.stderr


def test_an_unknown_roll_out(store):
    assert slim("rollout", "revert", "nosuch").exit_code == 3


def test_alerts_are_listed_and_acknowledged(store):
    assert slim("alerts").stderr == "There is no alert.\n"
    store.alerts.raise_("cam1", AlertKind.HOT, "Hot: 84 °C.", T0)
    (alert,) = json.loads(slim("alerts", "--json").stdout)
    assert "Hot: 84 °C." in slim("alerts", "--acknowledge", alert["id"]).stdout
    assert store.alerts.open()[0].acknowledged_at is not None
    assert slim("alerts", "--acknowledge", 99).exit_code == 3


class _Hub:
    """A hub that hears what the broker retains of "cam1", one after the other; its status comes last."""

    def __init__(self, *heard: Device):
        self._heard = list(heard)
        self.forgotten: list[str] = []

    def device(self, name: str) -> Device:
        if name != "cam1" or not self._heard:
            raise FleetError("nothing heard")
        return self._heard.pop(0) if len(self._heard) > 1 else self._heard[0]

    def forget(self, name: str) -> None:
        if self._heard[0].online:
            raise FleetError(f"{name} is online.")
        self.forgotten.append(name)

    def turn_out(self, name: str) -> None:
        self.forgotten.append(name)

    def command(self, device: str, *_: object) -> Reply:
        return Reply(id="a", ok=device == "cam2", error="" if device == "cam2" else "no former model")


def _put_in_place(monkeypatch: pytest.MonkeyPatch, hub: _Hub, store: Store) -> _Hub:
    @contextmanager
    def connected(_settings: object) -> Iterator[tuple[_Hub, Store]]:
        yield hub, store

    monkeypatch.setattr(commands, "connected", connected)
    return hub


def test_a_device_is_not_forgotten_before_its_status_was_heard(store, monkeypatch):
    silent = Device(name="cam1")
    online = replace(silent, status=Status(online=True, session="s", since=T0))
    hub = _put_in_place(monkeypatch, _Hub(silent, silent, online), store)
    refused = slim("devices", "remove", "cam1")
    assert (refused.exit_code, hub.forgotten) == (4, [])
    assert "cam1 is online" in refused.stderr
    hub = _put_in_place(monkeypatch, _Hub(silent, replace(online, status=None)), store)
    monkeypatch.setattr(commands, "DISCOVERY_S", 0.2)
    assert slim("devices", "remove", "cam1").exit_code == 0, "one that says nothing of itself is gone"
    assert hub.forgotten == ["cam1"]


def test_a_roll_back_names_each_device_once(store, monkeypatch):
    _put_in_place(monkeypatch, _Hub(), store)
    monkeypatch.setattr(commands.time, "sleep", lambda _s: None)
    done = slim("devices", "rollback", "--to", "all")
    assert (done.exit_code, done.stdout) == (1, "cam2: rolled back\n")
    assert done.stderr == "cam1 did not roll back: no former model\n"


def test_who_expels_a_device_that_nobody_has_seen_is_told(store, monkeypatch):
    _put_in_place(monkeypatch, _Hub(), store)
    assert "never noted" in slim("devices", "expel", "cam3").stderr
    assert "never noted" not in slim("devices", "expel", "cam1").stderr


def test_publish_tells_what_becomes_of_this_order_not_of_the_one_before(capsys):
    printer = _ChangePrinter()
    failed = Reported(session="s", revision=6, state=DeviceState.FAILED, reason="no_space", at=T0)
    before = Device(name="cam1", status=Status(online=True, session="s", since=T0), reported=failed)
    printer(before, revision=7)
    printer(before, revision=7)
    for state in (DeviceState.WARMING, DeviceState.ACTIVE):
        now = failed.model_copy(update={"revision": 7, "state": state, "reason": ""})
        printer(replace(before, reported=now), revision=7)
    printer(replace(before, status=None), revision=7)
    assert capsys.readouterr().err.splitlines() == [
        "cam1: ordered",
        "cam1: warming",
        "cam1: offline; it finds the order when it is back",
    ]
