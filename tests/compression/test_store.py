"""The contract of the store, over SQLite and over what SLIMCAST_TEST_DATABASE_URL names, if anything."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from slimcast.errors import RunNotFound, RunStateError, StoreError
from slimcast.jobs.reporter import StoreReporter
from slimcast.records import Checkpoint, EventKind, RunState, Table
from slimcast.reporting import ScaledReporter
from slimcast.settings import Settings
from slimcast.store import Store
from slimcast.store.tables import metadata
from support_store import make_recipe, make_settings, make_variant
from support_wait import PATIENCE

_OTHER_URL = os.environ.get("SLIMCAST_TEST_DATABASE_URL", "")
_FINISHED = [state for state in RunState if state.is_finished()]
_RESUMABLE = [state for state in RunState if state.can_resume()]


@pytest.fixture(scope="module")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows, to copy: migrating takes longer than most tests."""
    settings = make_settings(tmp_path_factory.mktemp("blank"))
    Store.open(settings).close()
    return settings.home / "slimcast.db"


@pytest.fixture(params=["sqlite", "other"] if _OTHER_URL else ["sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, blank_database: Path) -> Settings:
    if request.param == "sqlite":
        shutil.copy(blank_database, tmp_path / "slimcast.db")
        return make_settings(tmp_path)
    engine = create_engine(_OTHER_URL)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    engine.dispose()
    return make_settings(tmp_path, SLIMCAST_DATABASE_URL=_OTHER_URL)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings)
    yield store
    store.close()


def _finished(store: Store, state: RunState) -> str:
    run = store.create_run(make_recipe())
    assert store.claim(run.id, "w")
    store.save_variant(make_variant(run.id))
    store.save_checkpoint(Checkpoint(run_id=run.id, step=0, file="a" * 64))
    store.finish(run.id, state, "why" if state is RunState.FAILED else "")
    return run.id


def test_runs_come_newest_first_in_pages_and_by_state(store: Store):
    ids = [store.create_run(make_recipe(f"r{i}")).id for i in range(5)]
    newest_first = sorted(ids, reverse=True)
    assert {run.id for run in store.runs()} == set(ids)
    assert [run.id for run in store.runs(limit=2)] == newest_first[:2]
    assert [run.id for run in store.runs(limit=2, offset=4)] == newest_first[4:]
    store.claim(ids[2], "w")
    assert [run.id for run in store.runs(state=RunState.RUNNING)] == [ids[2]]
    assert (store.count_runs(), store.count_runs(RunState.QUEUED)) == (5, 4)


def test_ids_are_short_and_sort_by_time(store: Store):
    first = store.create_run(make_recipe()).id
    before = time.time()
    while time.time() - before < 0.002:  # ids tell milliseconds apart
        pass
    second = store.create_run(make_recipe()).id
    assert len(first) == 10
    assert first < second


def test_run_keeps_its_recipe(store: Store):
    recipe = make_recipe("kept")
    run = store.run(store.create_run(recipe).id)
    assert (run.name, run.recipe_hash, run.state) == ("kept", recipe.hash, RunState.QUEUED)
    assert run.recipe_yaml == recipe.to_yaml()


def test_run_is_found_by_the_beginning_of_its_id(store: Store):
    run = store.create_run(make_recipe())
    assert store.run(run.id[:9]).id == run.id


@pytest.mark.parametrize("wrong", ["zzzz", "", "%", "_"])
def test_unknown_run(store: Store, wrong: str):
    store.create_run(make_recipe())
    with pytest.raises(RunNotFound, match="slimcast runs"):
        store.run(wrong)


def test_ambiguous_beginning_lists_runs(store: Store):
    ids = [store.create_run(make_recipe()).id for _ in range(2)]
    common = ids[0][:4]  # the same for weeks
    with pytest.raises(RunNotFound, match="More than one") as caught:
        store.run(common)
    assert all(run_id in str(caught.value) for run_id in ids)


def test_claim_is_won_once(store: Store):
    run = store.create_run(make_recipe())
    assert store.claim(run.id, "one") is True
    assert store.claim(run.id, "two") is False
    claimed = store.run(run.id)
    assert (claimed.state, claimed.worker) == (RunState.RUNNING, "one")
    assert claimed.started_at is not None
    assert claimed.heartbeat_at is not None


_CLAIMER = """
import sys, time
from pathlib import Path
from slimcast.settings import Settings
from slimcast.store import Store
store = Store.open(Settings.from_environment())
go, name, ids = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
go.with_name("ready-" + name).touch()
while not go.exists():
    time.sleep(0.001)
print(*[run_id for run_id in ids if store.claim(run_id, name)])
store.close()
"""


def test_of_two_processes_exactly_one_wins_each_run(store: Store, settings: Settings, tmp_path: Path):
    ids = [store.create_run(make_recipe()).id for _ in range(30)]
    go = tmp_path / "go"
    environment = os.environ | settings.to_environment()
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMER, str(go), name, *order],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, order in (("a", ids), ("b", ids))
    ]
    while not all((tmp_path / f"ready-{name}").exists() for name in "ab"):
        assert all(claimer.poll() is None for claimer in claimers)
    go.touch()
    won = [claimer.communicate(timeout=60 * PATIENCE)[0].split() for claimer in claimers]
    assert sorted(won[0] + won[1]) == sorted(ids)


def test_heartbeat_carries_progress(store: Store):
    run = store.create_run(make_recipe())
    assert store.heartbeat(run.id) is False  # nobody has claimed it
    store.claim(run.id, "w")
    assert store.heartbeat(run.id, progress=0.25, activity="training") is True
    assert store.heartbeat(run.id) is True
    beaten = store.run(run.id)
    assert (beaten.progress, beaten.activity) == (0.25, "training")


@pytest.mark.parametrize("state", _FINISHED)
def test_finished_run_does_not_change(store: Store, state: RunState):
    run_id = _finished(store, state)
    before = (store.run(run_id), store.variants(run_id), store.checkpoints(run_id), store.events(run_id))
    assert store.claim(run_id, "other") is False
    assert store.heartbeat(run_id, progress=0.1) is False
    assert store.find_interrupted(silent_for_s=-1) == []
    for attempt in (
        lambda: store.finish(run_id, RunState.FAILED, "late"),
        lambda: store.request_cancel(run_id),
        lambda: store.save_variant(make_variant(run_id, accuracy=0.1)),
        lambda: store.save_checkpoint(Checkpoint(run_id=run_id, step=0, file="b" * 64)),
    ):
        with pytest.raises(RunStateError):
            attempt()
    assert before == (
        store.run(run_id),
        store.variants(run_id),
        store.checkpoints(run_id),
        store.events(run_id),
    )


@pytest.mark.parametrize("state", _RESUMABLE)
def test_requeue_keeps_what_is_finished(store: Store, state: RunState):
    run_id = _finished(store, state)
    queued = store.requeue(run_id)
    assert (queued.state, queued.error, queued.finished_at) == (RunState.QUEUED, "", None)
    assert [c.step for c in store.checkpoints(run_id)] == [0]
    assert [v.name for v in store.variants(run_id)] == ["0-train"]
    assert store.claim(run_id, "again")


def test_requeue_refuses_what_cannot_be_resumed(store: Store):
    succeeded = _finished(store, RunState.SUCCEEDED)
    queued = store.create_run(make_recipe()).id
    for run_id in (succeeded, queued):
        with pytest.raises(RunStateError, match="Only failed"):
            store.requeue(run_id)


def test_queued_run_is_cancelled_at_once(store: Store):
    run = store.create_run(make_recipe())
    assert store.request_cancel(run.id).state is RunState.CANCELLED
    assert store.claim(run.id, "w") is False


def test_running_run_learns_of_the_cancel(store: Store):
    run = store.create_run(make_recipe())
    store.claim(run.id, "w")
    asked = store.request_cancel(run.id)
    assert (asked.state, asked.cancel_requested) == (RunState.RUNNING, True)
    assert store.heartbeat(run.id) is False
    store.finish(run.id, RunState.CANCELLED)
    assert store.requeue(run.id).cancel_requested is False


def test_silent_runs_are_interrupted(store: Store):
    silent, cancelled, queued = (store.create_run(make_recipe()).id for _ in range(3))
    store.claim(silent, "w")
    store.claim(cancelled, "w")
    store.request_cancel(cancelled)
    assert store.find_interrupted(silent_for_s=60) == []
    assert store.find_interrupted(silent_for_s=-1, unless=lambda run: run.worker == "w") == []
    found = {run.id: run.state for run in store.find_interrupted(silent_for_s=-1)}
    assert found == {silent: RunState.INTERRUPTED, cancelled: RunState.CANCELLED}
    assert "Resume it" in store.run(silent).error
    assert store.run(queued).state is RunState.QUEUED
    assert store.events(silent, kinds=[EventKind.STATE])[-1].data["state"] == "interrupted"


def test_worker_that_lost_its_run_is_refused(store: Store, settings: Settings):
    run = store.create_run(make_recipe())
    store.claim(run.id, "slow")
    other = Store.open(settings)
    try:
        other.find_interrupted(silent_for_s=-1)
        assert store.heartbeat(run.id) is False
        other.requeue(run.id)
        assert other.claim(run.id, "quick")
        assert store.heartbeat(run.id) is False
        with pytest.raises(RunStateError):
            store.finish(run.id, RunState.FAILED)
        with pytest.raises(RunStateError):
            store.save_variant(make_variant(run.id))
        assert other.heartbeat(run.id) is True
        other.finish(run.id, RunState.SUCCEEDED)
    finally:
        other.close()


def test_every_change_of_state_is_an_event(store: Store):
    run_id = _finished(store, RunState.FAILED)
    store.requeue(run_id)
    told = [event.data for event in store.events(run_id, kinds=[EventKind.STATE])]
    assert [data["state"] for data in told] == ["queued", "running", "failed", "queued"]
    assert told[2]["reason"] == "why"


def test_events_are_read_on_from_a_number(store: Store):
    run = store.create_run(make_recipe())
    store.add_events(run.id, [(1.5, EventKind.LOG, {"text": "ä", "level": "info"})])
    store.add_events(
        run.id, [(2.0, EventKind.POINT, {"series": "loss", "x": i, "y": 0.1, "step": 0}) for i in range(9)]
    )
    events = store.events(run.id)
    assert [event.seq for event in events] == list(range(1, 12))
    assert (events[1].at, events[1].data["text"]) == (1.5, "ä")
    assert [event.seq for event in store.events(run.id, after=9)] == [10, 11]
    assert len(store.events(run.id, kinds={EventKind.POINT}, limit=4)) == 4


def test_a_batch_of_events_is_all_or_nothing(store: Store):
    run = store.create_run(make_recipe())
    before = store.events(run.id)
    with pytest.raises((StoreError, TypeError)):
        store.add_events(
            run.id, [(1.0, EventKind.LOG, {"text": "x"}), (1.0, EventKind.LOG, {"text": object()})]
        )
    assert store.events(run.id) == before


def test_events_of_an_unknown_run(store: Store):
    with pytest.raises(RunNotFound):
        store.add_events("nobody", [(1.0, EventKind.LOG, {"text": "x"})])


def test_events_from_many_threads_have_no_gap(store: Store):
    run = store.create_run(make_recipe())
    with ThreadPoolExecutor(4) as threads:
        list(
            threads.map(
                lambda i: store.add_events(run.id, [(i, EventKind.LOG, {"text": str(i)})] * 3), range(20)
            )
        )
    assert [event.seq for event in store.events(run.id)] == list(range(1, 62))


def test_variants_come_by_step_with_exact_figures(store: Store):
    run = store.create_run(make_recipe())
    later, first = make_variant(run.id, "1-int8", 1), make_variant(run.id)
    store.save_variant(later)
    store.save_variant(first)
    assert store.variants(run.id) == [first, later]


def test_variant_of_the_same_name_is_replaced(store: Store):
    run = store.create_run(make_recipe())
    store.save_variant(make_variant(run.id, accuracy=0.5))
    store.save_variant(make_variant(run.id, accuracy=0.75))
    [variant] = store.variants(run.id)
    assert variant.value("accuracy") == 0.75
    assert len(variant.measurements) == 2


def test_checkpoint_of_the_same_step_is_replaced(store: Store):
    run = store.create_run(make_recipe())
    for file in ("a" * 64, "b" * 64):
        store.save_checkpoint(Checkpoint(run_id=run.id, step=0, file=file))
    assert store.checkpoints(run.id) == [Checkpoint(run_id=run.id, step=0, file="b" * 64)]


def test_revisions_only_grow(store: Store, settings: Settings):
    before = int(time.time())
    first = store.next_revision("cam1")
    assert first >= before
    store.close()
    again = Store.open(settings)
    try:
        assert again.next_revision("cam1") > first
    finally:
        again.close()


def test_revisions_are_given_once(store: Store):
    with ThreadPoolExecutor(4) as threads:
        revisions = list(threads.map(lambda _: store.next_revision("cam1"), range(20)))
    assert len(set(revisions)) == 20


def test_everything_is_there_after_opening_again(store: Store, settings: Settings):
    run_id = _finished(store, RunState.SUCCEEDED)
    kept = (store.run(run_id), store.variants(run_id), store.checkpoints(run_id), store.events(run_id))
    store.close()
    again = Store.open(settings)
    try:
        found = (again.run(run_id), again.variants(run_id), again.checkpoints(run_id), again.events(run_id))
    finally:
        again.close()
    assert found == kept


def test_a_table_is_there_as_it_was_saved_last_in_a_store_that_was_opened_again(store, settings):
    run, other = store.create_run(make_recipe()), store.create_run(make_recipe())
    first = Table(name="1-sensitivity", columns=("group", "accuracy"), rows=(("conv1", 0.1 + 0.2),))
    grown = Table(name="1-sensitivity", columns=first.columns, rows=(*first.rows, ("conv2", None)))
    history = Table(name="0-netadapt", columns=("iteration",), rows=((1,), (2,)))
    for table in (first, history, grown):
        store.save_table(run.id, table)
    store.close()
    opened = Store.open(settings)
    assert opened.tables(run.id) == [history, grown]
    assert opened.tables(other.id) == []
    with pytest.raises(RunNotFound):
        opened.save_table("nosuchrun0", first)
    opened.close()


def test_a_reporters_table_reaches_the_store(store):
    run = store.create_run(make_recipe())
    reporter = StoreReporter(store, run.id)
    ScaledReporter(reporter, 0.0, 0.5).table("0-a", ["group", "macs"], [["conv1", 12]])
    assert store.tables(run.id) == []
    reporter.flush()
    assert store.tables(run.id) == [Table(name="0-a", columns=("group", "macs"), rows=(("conv1", 12),))]
