"""Whether the process of a run is still there."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from slimcast.jobs.liveness import process_is_alive, worker_name
from slimcast.store import Store
from support_store import make_recipe, make_settings


@pytest.fixture
def run(tmp_path):
    """A run that this process has claimed."""
    store = Store.open(make_settings(tmp_path))
    made = store.create_run(make_recipe())
    store.claim(made.id, worker_name())
    yield store.run(made.id)
    store.close()


def test_our_own_process_is_alive(run):
    assert process_is_alive(run)


def test_a_process_that_has_ended_is_not(run):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    host = run.worker.rpartition(":")[0]
    assert not process_is_alive(replace(run, worker=f"{host}:{ended.pid}"))


def test_a_process_that_nobody_has_waited_for_is_not(run):
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    host = run.worker.rpartition(":")[0]
    assert not process_is_alive(replace(run, worker=f"{host}:{zombie.pid}", started_at=time.time()))
    zombie.wait()


def test_a_later_process_of_the_same_number_is_another(run):
    assert not process_is_alive(replace(run, started_at=run.started_at - 1e6))


@pytest.mark.parametrize("worker", ["another-machine:1", "", "nonsense"])
def test_of_other_machines_nothing_is_known(run, worker):
    assert not process_is_alive(replace(run, worker=worker))
