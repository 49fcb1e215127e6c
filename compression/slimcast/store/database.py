"""Opening the database: engine, SQLite's settings, migrations, one sort of error for all that goes wrong."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from slimcast.errors import StoreError
from slimcast.store.tables import SCHEMA_REVISION, VERSION_TABLE

BUSY_TIMEOUT_S = 15.0
_WRITE = "slimcast_write"
_FIRST_REVISION = "0001"  # the one revision that was ever noted in Alembic's own table


class Database:
    """An SQLAlchemy engine with the two sorts of transaction that the store needs.

    On SQLite a writing transaction takes the write lock at its start: one that reads first and writes later
    would fail with "database is locked" when another had written in between, however long it would wait.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url: URL = make_url(url)
            self._engine = _make_engine(self.url)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreError(
                f"SLIMCAST_DATABASE_URL cannot be used: {error}. Expected an SQLAlchemy URL whose driver is "
                "installed, such as sqlite:////data/slimcast.db or postgresql+psycopg://user:password@host/slimcast."
            ) from error
        self._writer = self._engine.execution_options(**{_WRITE: True})

    @property
    def label(self) -> str:
        """Return the URL without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads.

        Raises:
            StoreError: the database cannot be used.
        """
        with self._one_error(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes; it is committed at the end, all or nothing.

        Raises:
            StoreError: the database cannot be used.
        """
        with self._one_error(), self._writer.begin() as connection:
            yield connection

    def prepare(self) -> None:
        """Create the file and the tables, or bring old tables up to date.

        Raises:
            StoreError: not writable, damaged, or made by a newer Slimcast.
        """
        if self.url.get_backend_name() == "sqlite":
            self._prepare_sqlite_file()
        with self.reading() as connection:
            if _revision(connection) == SCHEMA_REVISION:
                return
        with self.writing() as connection:
            migrate(connection, self.label)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _prepare_sqlite_file(self) -> None:
        if self.url.database:
            folder = Path(self.url.database).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(_not_writable(folder, error)) from error
        # Switching a new file to WAL needs it for oneself, and does not wait for others who want the same.
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                with self._one_error(), self._engine.connect() as connection:
                    # Through the driver: SQLAlchemy would begin a transaction, in which this cannot be done.
                    _driver(connection).execute("PRAGMA journal_mode=WAL")
                return
            except StoreError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    @contextmanager
    def _one_error(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(self._explain(error)) from error

    def _explain(self, error: SQLAlchemyError) -> str:
        cause = getattr(error, "orig", None) or error
        reason = " ".join(str(cause).split())
        path = self.url.database or ""
        if "not a database" in reason or "malformed" in reason:
            return (
                f"The database {path} is damaged ({reason}). Put back a copy of it, "
                "or move the file away to begin with an empty one."
            )
        if "readonly" in reason or "unable to open" in reason:
            return _not_writable(Path(path), reason)
        if "disk is full" in reason:
            return f"The disk of the database {path} is full. Make room, then run the command again."
        return f"The database {self.label} does not work: {reason}"


class Rows:
    """Rows of some tables. One object may be used from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database


class SiteRows:
    """Rows of some tables that belong to one site. One object may be used from many threads."""

    def __init__(self, database: Database, site: str) -> None:
        self._database, self._site = database, site


def migrate(connection: Connection, label: str = "The database") -> None:
    """Bring the tables up to date, within the transaction that is open.

    Raises:
        StoreError: the tables are newer than this program.
    """
    from alembic import command  # slow to import, and needed only when there is something to do
    from alembic.config import Config
    from alembic.util import CommandError

    if connection.dialect.name == "postgresql":
        connection.execute(
            text("SELECT pg_advisory_xact_lock(7361001)")
        )  # others wait, then find nothing to do
    if _revision(connection) == SCHEMA_REVISION:
        return
    _adopt_first_revision(connection)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"{label} was made by a newer Slimcast (schema {_revision(connection)}, this one knows up to "
            f"{SCHEMA_REVISION}). Update Slimcast, or set SLIMCAST_HOME to another folder."
        ) from error


def _revision(connection: Connection, table: str = VERSION_TABLE) -> str | None:
    if not inspect(connection).has_table(table):
        return None
    return connection.execute(text(f"SELECT version_num FROM {table}")).scalar()


def _adopt_first_revision(connection: Connection) -> None:
    """Move what an older Slimcast noted in `alembic_version` into our own table.

    Optuna keeps its revision in a table of that name and would take ours for its own; so ours makes room.
    """
    if _revision(connection) is None and _revision(connection, "alembic_version") == _FIRST_REVISION:
        connection.execute(
            text(
                f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
                f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
            )
        )
        connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{_FIRST_REVISION}')"))
        connection.execute(text("DROP TABLE alembic_version"))


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's driver begins transactions at moments of its own choosing; None leaves that to `_begin_sqlite`.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _not_writable(path: Path, reason: object) -> str:
    return (
        f"Slimcast cannot write to {path}: {reason}. Make the folder writable, "
        "or set SLIMCAST_HOME to one that is."
    )
