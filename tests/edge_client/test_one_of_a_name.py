"""Two clients with one state folder, or with one name: neither harms the other unseen."""

import subprocess
import sys

import pytest

from slimcast_edge.client.namesake import Namesake
from slimcast_edge.deploy.claim import Claim
from slimcast_edge.errors import AlreadyRunning, WireError
from slimcast_edge.wire import Status
from support_artifacts import make_artifact
from support_edge import Device
from support_wait import wait_for

OWN = Status(online=True, session="own", since=1000.0)


def test_a_folder_is_claimed_by_one(tmp_path):
    first, second = Claim(tmp_path), Claim(tmp_path)
    first.take()
    with pytest.raises(AlreadyRunning, match="Stop that one first"):
        second.take()
    second.release()
    first.release()
    first.release()
    second.take()
    second.release()


def test_a_claim_ends_with_its_process_however_that_ends(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from slimcast_edge.deploy.claim import Claim\n"
        "Claim(pathlib.Path(sys.argv[1])).take()\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    claim = Claim(tmp_path)
    claim.take()
    claim.release()


@pytest.mark.slow
def test_a_second_client_with_the_same_folder_ends_with_a_sentence(tmp_path):
    (tmp_path / "old.onnx").write_bytes(make_artifact(name="old"))
    settings = {"model": str(tmp_path / "old.onnx")}
    first = Device(tmp_path, "mqtt://127.0.0.1:9", **settings).start()
    try:
        wait_for(lambda: "First frame classified" in first.log, "the first to run")
        second = subprocess.run(
            [sys.executable, "-m", "slimcast_edge", "run", "--config", str(first.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 1, "a service tries again; the first may end"
        assert "Another client runs with the state folder" in second.stderr
        assert "Traceback" not in second.stderr
        assert first.process.poll() is None
    finally:
        assert first.stop() == 0


class Heard:
    """What a `Namesake` did."""

    def __init__(self):
        self.corrected, self.told = 0, []
        self.namesake = Namesake(OWN, "cam1", correct=self.correct, tell=self.told.append)

    def correct(self):
        self.corrected += 1

    def status(self, session="own", since=1000.0, *, online=True):
        self.namesake.heard(Status(online=online, session=session, since=since).encode())


def test_another_client_of_the_same_name_is_told_of_once():
    heard = Heard()
    heard.status("last", 900.0)  # retained, from the process before
    heard.status()
    for _ in range(3):
        heard.status("copy", 1010.0)
        heard.status("copy", 1010.0, online=False)  # its will, once this one has thrown it out
        heard.status()
    [told] = heard.told
    assert "'cam1'" in told
    assert "slimcast devices enrol" in told
    assert heard.corrected == 3


def test_what_the_last_process_left_is_no_other_client():
    heard = Heard()
    heard.status("last", 1500.0)  # the clock has been put back since: nothing of ours was heard before it
    heard.status()
    heard.status("last", 900.0, online=False)
    assert heard.told == []
    assert heard.corrected == 1
    with pytest.raises(WireError):
        heard.namesake.heard(b"{")


def test_a_status_that_was_deleted_is_said_again_but_no_argument_is_made_of_it():
    heard = Heard()
    heard.status()
    heard.namesake.heard(b"")
    heard.status()
    heard.namesake.heard(b"")
    assert heard.corrected == 1
    assert heard.told == []
