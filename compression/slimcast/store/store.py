"""The store: runs and what they leave, artifacts, and what lasts of the fleet, behind one object."""

from typing import Self

from slimcast.errors import StoreError
from slimcast.settings import Settings
from slimcast.store.alerts import Alerts
from slimcast.store.artifacts import ArtifactFiles
from slimcast.store.benchmarks import Benchmarks
from slimcast.store.database import Database
from slimcast.store.device_log import DeviceLog
from slimcast.store.devices import Devices
from slimcast.store.expulsions import Expulsions
from slimcast.store.freeing import Freeing
from slimcast.store.revisions import Revisions
from slimcast.store.rollouts import Rollouts
from slimcast.store.run_list import RunList
from slimcast.store.run_results import RunResults
from slimcast.store.run_states import RunStates
from slimcast.store.searches import Searches
from slimcast.store.withdrawals import Withdrawals


class Store:
    """All that is kept. One object may be used from many threads.

    What is asked most stands here by itself: states of runs (`RunStates`), what they leave (`RunResults`) and
    the next number of an order (`Revisions`).

    Attributes:
        run_list: pages of runs. freeing: what deleted ones hold. searches, benchmarks, withdrawals: of all.
        devices, device_log, alerts, rollouts, expulsions: what lasts of the fleet of one site.
    """

    def __init__(self, database: Database, artifacts: ArtifactFiles, site: str) -> None:
        self._database = database
        self.artifacts = artifacts
        self.searches = Searches(database)
        self.run_list = RunList(database)
        self.benchmarks = Benchmarks(database)
        self.devices, self.device_log = Devices(database, site), DeviceLog(database, site)
        self.alerts, self.rollouts = Alerts(database, site), Rollouts(database, site)
        self.freeing = Freeing(database, artifacts)
        self.withdrawals, self.expulsions = Withdrawals(database), Expulsions(database, site)
        states = RunStates(database)
        self.create_run, self.run = states.create, states.get
        self.runs, self.count_runs = states.newest, states.count
        self.claim, self.heartbeat, self.finish = states.claim, states.heartbeat, states.finish
        self.request_cancel, self.requeue = states.request_cancel, states.requeue
        self.find_interrupted = states.find_interrupted
        results = RunResults(database, states.check_writable)
        self.add_events, self.events = results.add_events, results.events
        self.save_table, self.tables = results.save_table, results.tables
        self.save_variant, self.variants = results.save_variant, results.variants
        self.variants_of = results.variants_of
        self.save_checkpoint, self.checkpoints = results.save_checkpoint, results.checkpoints
        self.next_revision = Revisions(database).next

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the store, and create what is missing: folders, tables, columns.

        Raises:
            StoreError: not writable, damaged, or made by a newer Slimcast.
        """
        artifacts = ArtifactFiles(settings.artifact_url, cache=settings.home / "cache" / "artifacts")
        try:
            settings.logs_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"Slimcast cannot write to {settings.home}: {error}. Make the folder writable, "
                "or set SLIMCAST_HOME to one that is."
            ) from error
        database = Database(settings.database_url)
        try:
            artifacts.prepare()
            database.prepare()
        except BaseException:
            database.close()
            raise
        return cls(database, artifacts, settings.site)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    @property
    def database_url(self) -> str:
        """Return the SQLAlchemy URL with its password, for who keeps tables of their own beside ours."""
        return self._database.url.render_as_string(hide_password=False)
