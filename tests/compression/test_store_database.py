"""Opening a database: migrations, SQLite's settings, indexes, and what is said when it cannot be opened."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from slimcast.errors import StoreError
from slimcast.records import EventKind, RunState
from slimcast.search.study import open_storage
from slimcast.store import Store, database
from slimcast.store.run_list import RunFilter
from slimcast.store.tables import SCHEMA_REVISION, VERSION_TABLE, metadata
from support_store import make_recipe, make_settings, make_variant
from support_wait import PATIENCE

OLDEST_SCHEMA = Path(__file__).parent / "schema_0001.sql"


def test_migrations_from_blank_give_the_tables_of_the_code(tmp_path: Path):
    settings = make_settings(tmp_path)
    Store.open(settings).close()
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_the_code_names():
    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert scripts.get_heads() == [SCHEMA_REVISION]


def test_oldest_schema_with_rows_is_brought_up_to_date(tmp_path: Path):
    with sqlite3.connect(tmp_path / "slimcast.db") as old:
        old.executescript(OLDEST_SCHEMA.read_text())
    old.close()
    store = Store.open(make_settings(tmp_path))
    try:
        [run] = store.runs()
        assert (run.id, run.state, run.error) == ("mwq4wkm8bq", RunState.FAILED, "no space left")
        [variant] = store.variants(run.id)
        assert (variant.name, variant.value("accuracy")) == ("0-train", 0.9)
        assert store.events(run.id, kinds=[EventKind.LOG])[0].data["text"] == "hello"
        assert [c.step for c in store.checkpoints(run.id)] == [0]
        assert store.next_revision("cam1") > 1795249004
        assert store.claim(store.requeue(run.id).id, "w")
    finally:
        store.close()
    with sqlite3.connect(tmp_path / "slimcast.db") as new:
        assert new.execute("SELECT version_num FROM slimcast_version").fetchall() == [(SCHEMA_REVISION,)]
        tables = {name for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    new.close()
    assert "alembic_version" not in tables  # room for Optuna's
    assert "search" in tables


def test_studies_of_optuna_stand_beside_our_tables(tmp_path: Path):
    settings = make_settings(tmp_path)
    store = Store.open(settings)
    for _ in range(2):
        open_storage(store.database_url).engine.dispose()
    store.close()
    Store.open(settings).close()
    with sqlite3.connect(tmp_path / "slimcast.db") as both:
        assert both.execute("SELECT version_num FROM slimcast_version").fetchall() == [(SCHEMA_REVISION,)]
        [(optunas,)] = both.execute("SELECT version_num FROM alembic_version").fetchall()
    both.close()
    assert optunas.startswith("v")


def test_database_of_a_newer_version_is_left_alone(tmp_path: Path):
    settings = make_settings(tmp_path)
    Store.open(settings).close()
    with sqlite3.connect(tmp_path / "slimcast.db") as newer:
        newer.execute("UPDATE slimcast_version SET version_num = '9999'")
    newer.close()
    with pytest.raises(StoreError, match=r"newer Slimcast .*9999"):
        Store.open(settings)


def test_sqlite_is_set_up_for_several_processes(tmp_path: Path):
    store = Store.open(make_settings(tmp_path))
    try:
        with store._database.reading() as connection:
            values = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout")
            }
        assert values == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 15000}
    finally:
        store.close()


def test_two_processes_may_open_a_blank_store_at_once(tmp_path: Path):
    script = "from slimcast.settings import Settings; from slimcast.store import Store\n"
    script += "Store.open(Settings.from_environment()).close()"
    environment = os.environ | make_settings(tmp_path / "home").to_environment()
    processes = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(2)]
    assert [process.wait(timeout=60 * PATIENCE) for process in processes] == [0, 0]


def test_home_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write to .*SLIMCAST_HOME"):
        Store.open(make_settings(tmp_path / "file" / "home"))


def test_database_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/x.db"
    with pytest.raises(StoreError, match=f"cannot write to {tmp_path}/file"):
        Store.open(make_settings(tmp_path / "home", SLIMCAST_DATABASE_URL=url))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_home_without_permission(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot write to"):
        Store.open(make_settings(tmp_path))


def test_file_that_is_no_database(tmp_path: Path):
    (tmp_path / "slimcast.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"is damaged .*move the file away"):
        Store.open(make_settings(tmp_path))


def test_truncated_database(tmp_path: Path):
    settings = make_settings(tmp_path)
    store = Store.open(settings)
    for _ in range(20):
        store.create_run(make_recipe())
    store.close()
    path = tmp_path / "slimcast.db"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(StoreError, match="is damaged"):  # noqa: PT012 - opened or read, whichever comes first
        broken = Store.open(settings)
        try:
            broken.runs()
        finally:
            broken.close()


@pytest.mark.parametrize("url", ["nonsense", "nosuchdb://host/x", "oracle+cx_oracle://host/x"])
def test_database_url_that_cannot_be_used(tmp_path: Path, url: str):
    with pytest.raises(StoreError, match="SLIMCAST_DATABASE_URL"):
        Store.open(make_settings(tmp_path, SLIMCAST_DATABASE_URL=url))


def test_no_query_of_a_page_reads_a_whole_table(tmp_path: Path):
    store = Store.open(make_settings(tmp_path))
    run_id = store.create_run(make_recipe()).id
    store.save_variant(make_variant(run_id))
    queries: list[tuple[str, tuple]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if statement.startswith("SELECT"):
            queries.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        store.runs(limit=20, offset=980)
        store.runs(state=RunState.FAILED)
        store.run(run_id)
        store.variants_of([run_id, "x"])
        store.run_list.set_tags(run_id, ["a"])
        store.run_list.page(RunFilter(tag="a"), limit=20)
        store.run_list.page(RunFilter(states=(RunState.FAILED,), measured=True))
        store.run_list.tags()
        store.checkpoints(run_id)
        store.events(run_id, after=3)
        store.events(run_id, after=3, kinds=[EventKind.POINT])
        store.find_interrupted()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(queries) >= 9
    with store._database.reading() as connection:
        for statement, parameters in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            for detail in (row[3] for row in plan):
                whole = detail.startswith("SCAN") and "USING" not in detail
                # A run has a handful of variants: sorting those by step is no reading of a table.
                sorts = "TEMP B-TREE" in detail and "FROM variant" not in statement
                assert not whole, (statement, detail)
                assert not sorts, (statement, detail)
    store.close()
