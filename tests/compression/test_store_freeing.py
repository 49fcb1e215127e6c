"""Deleted runs let go of the disk; nothing that somebody still needs is ever removed."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slimcast.cli import app
from slimcast.errors import FleetError, RunNotFound, RunStateError
from slimcast.fleet.in_use import artifacts_in_use
from slimcast.fleet.records import Device
from slimcast.fleet_records import HistoryEntry
from slimcast.recipe import parse_recipe
from slimcast.records import Checkpoint, RunState
from slimcast.store import Store
from slimcast_edge.wire import ArtifactRef, Desired, DeviceState, Reported
from support_rollout import new_rollout
from support_store import RECIPE, make_recipe, make_settings, make_variant

LATER = time.time() + 86400  # this is read at the start of all tests, which may be long before


@pytest.fixture
def settings(tmp_path: Path):
    return make_settings(tmp_path)


@pytest.fixture
def store(settings) -> Iterator[Store]:
    opened = Store.open(settings)
    yield opened
    opened.close()


def ended(store: Store, *contents: bytes, recipe=None) -> str:
    """A run with a variant for each content, answers of the first, and a checkpoint; return its id."""
    run = store.create_run(recipe or make_recipe())
    store.claim(run.id, "w")
    for step, content in enumerate(contents):
        variant = make_variant(run.id, f"{step}-x", step)
        answers = store.artifacts.put(b"answers of " + content)
        store.save_variant(replace(variant, artifact=store.artifacts.put(content), predictions=answers))
    store.save_checkpoint(Checkpoint(run_id=run.id, step=0, file=store.artifacts.put(b"c" + run.id.encode())))
    store.finish(run.id, RunState.SUCCEEDED)
    return run.id


def files(store: Store) -> set[str]:
    root = Path(store.artifacts.url.removeprefix("file://"))
    return {path.name for path in root.glob("??/*")}


def artifact(store: Store, run_id: str) -> str:
    return store.variants(run_id)[0].artifact


def test_a_deleted_run_goes_for_good_with_its_files(store):
    kept, gone = ended(store, b"one"), ended(store, b"two", b"three")
    everything = files(store)
    store.run_list.delete([gone])
    assert store.freeing.look(time.time() - 60).runs == ()  # it can still come back
    found = store.freeing.look(LATER)
    assert (found.runs, len(found.files), found.shared) == ((gone,), 5, 0)
    assert found.size_bytes == sum(store.artifacts.size(name) for name in found.files)
    assert files(store) == everything
    assert store.freeing.free(LATER) == found
    assert files(store) == everything - set(found.files)
    assert store.artifacts.exists(artifact(store, kept))
    with pytest.raises(RunNotFound):
        store.run(gone)
    assert store.variants(gone) == store.checkpoints(gone) == store.events(gone) == []
    assert store.freeing.free(LATER).runs == ()


def test_what_other_runs_use_stays(store):
    ended(store, b"shared"), ended(store, b"hidden")
    deleted = ended(store, b"shared", b"own")
    restorable = ended(store, b"own two", b"own")
    store.run_list.delete([deleted])
    before = time.time()
    store.run_list.delete([restorable])
    found = store.freeing.free(before)
    assert found.runs == (deleted,)
    assert found.shared == 4  # two models with their answers
    store.run_list.restore([restorable])
    assert all(store.artifacts.exists(one.artifact) for one in store.variants(restorable))


def test_what_another_recipe_begins_with_stays_and_so_does_what_that_begins_with(store):
    first = ended(store, b"first")
    text = RECIPE.format(name="next").replace("lenet5}", "lenet5, weights: run:%s}")
    second = ended(store, b"second", recipe=parse_recipe(text % first))
    ended(store, b"third", recipe=parse_recipe(text % f"{second}/0-x"))
    store.run_list.delete([first, second])
    found = store.freeing.free(LATER)
    assert (found.runs, found.needed) == ((), tuple(sorted([first, second])))
    assert store.artifacts.exists(artifact(store, first))


def history(device: str, artifact: str, number: int) -> HistoryEntry:
    return HistoryEntry(
        device=device, at=float(number), revision=number, state="active", artifact=artifact, name="m",
        reason="", message="",
    )  # fmt: skip


def test_what_is_deployed_or_could_be_rolled_back_to_stays(store, settings):
    names = ["old", "before", "now", "ordered", "reported", "rolled", "was", "expelled"]
    runs = {name: ended(store, name.encode()) for name in names}
    sha = {name: artifact(store, run_id) for name, run_id in runs.items()}
    store.devices.seen({"cam1": 1.0})
    for number, name in enumerate(["old", "before", "now"], start=1):
        store.device_log.add([history("cam1", sha[name], number)])
    store.device_log.add([history("cam9", sha["expelled"], 1)])  # known no more: only its history is left
    rollout = replace(new_rollout(["cam1"]), artifact=sha["rolled"])
    devices = tuple(replace(one, previous=sha["was"]) for one in rollout.devices)
    store.rollouts.create(replace(rollout, devices=devices))
    order = Desired(
        site="lab", device="cam2", revision=1,
        artifact=ArtifactRef(sha256=sha["ordered"], size_bytes=7, chunk_bytes=1024, name="m"),
    )  # fmt: skip
    orders = settings.home / "orders" / "lab"
    orders.mkdir(parents=True)
    (orders / "cam2.json").write_bytes(order.encode())
    state = Reported(session="s", revision=1, state=DeviceState.ACTIVE, at=1, previous=sha["reported"])
    in_use = artifacts_in_use(settings, [Device(name="cam3", reported=state)])

    store.run_list.delete(list(runs.values()))
    found = store.freeing.free(LATER, in_use)

    left = {name for name, sha256 in sha.items() if store.artifacts.exists(sha256)}
    assert left == set(names) - {"old", "expelled"}
    assert set(found.runs) == set(runs.values())
    assert found.shared == 6


def test_an_order_that_cannot_be_read_stops_it(settings, tmp_path):
    (settings.home / "orders" / "lab" / "cam1.json").mkdir(parents=True)
    with pytest.raises(FleetError, match="cannot be read"):
        artifacts_in_use(settings)


def test_while_a_run_is_at_work_nothing_goes(store):
    gone = ended(store, b"one")
    store.run_list.delete([gone])
    busy = store.create_run(make_recipe())
    store.claim(busy.id, "w")
    with pytest.raises(RunStateError, match=f"Run {busy.id} is at work"):
        store.freeing.free(LATER)
    assert store.artifacts.exists(artifact(store, gone))
    assert store.freeing.look(LATER).runs == (gone,)


def test_the_command_says_how_much_and_does_it_when_told_to(store, settings, monkeypatch):
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    gone = ended(store, b"x" * 2_000_000)
    store.run_list.delete([gone])
    said = CliRunner().invoke(app, ["free"])
    assert said.exit_code == 0, said.output
    assert "0 deleted runs" in said.output  # deleted a moment ago
    said = CliRunner().invoke(app, ["free", "--days", "0"])
    assert "1 deleted runs hold 4.0 MB in 3 files" in said.output
    assert "slimcast free --yes" in said.output
    assert len(files(store)) == 3
    done = CliRunner().invoke(app, ["free", "--days", "0", "--yes"])
    assert "freed 4.0 MB in 3 files" in done.output
    assert files(store) == set()
