"""What systemd hears, over a real datagram socket."""

import os
import socket
import threading

import pytest

from slimcast_edge.client import loops
from slimcast_edge.client.engine import Engine
from slimcast_edge.client.liveness import Liveness, patience_s
from slimcast_edge.client.loops import CameraLoop, Source
from slimcast_edge.client.traffic import Traffic
from slimcast_edge.client.upkeep import Upkeep
from slimcast_edge.errors import CameraError
from slimcast_edge.pulse import Pulse
from slimcast_edge.runtime import RuntimeChoice
from slimcast_edge.service_manager import ServiceManager
from slimcast_edge.slots import Slot
from support_wait import PATIENCE, wait_for


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(30 * PATIENCE)

    def next(self):
        return self.socket.recv(4096).decode()

    def drain(self):
        """Forget what has come so far."""
        self.socket.setblocking(False)
        while True:
            try:
                self.socket.recv(4096)
            except BlockingIOError:
                break
        self.socket.settimeout(30 * PATIENCE)


@pytest.fixture
def systemd(tmp_path):
    end = Systemd(str(tmp_path / "notify"))
    yield end
    end.socket.close()


def manager_of(tmp_path, **more):
    return ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")} | more)


def test_states_arrive(systemd, tmp_path):
    manager = manager_of(tmp_path)
    manager.notify("READY=1")
    manager.notify("WATCHDOG=1", "STATUS=two\nlines")
    assert systemd.next() == "READY=1"
    assert systemd.next() == "WATCHDOG=1\nSTATUS=two lines"


def test_an_abstract_socket():
    name = f"slimcast-test-{os.getpid()}"
    systemd = Systemd(f"\0{name}")
    ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).notify("READY=1")
    assert systemd.next() == "READY=1"
    systemd.socket.close()


def test_without_a_listener_nothing_happens(tmp_path):
    ServiceManager({}).notify("READY=1")
    manager_of(tmp_path).notify("READY=1")


def test_a_listener_that_does_not_read_holds_nobody_up(systemd, tmp_path):
    manager = manager_of(tmp_path)
    for _ in range(2000):  # far more than a socket's queue holds
        manager.notify("WATCHDOG=1")
    assert systemd.next() == "WATCHDOG=1"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "90000000"}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": str(os.getpid())}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdogs_time(environment, seconds):
    assert ServiceManager(environment).watchdog_s == seconds


def test_patience():
    assert patience_s(90.0, 30.0) == 60.0
    assert patience_s(None, None) == 60.0
    assert patience_s(90.0, 0.01) == 300.0, "a camera of one frame in 100 s does not hang"


def upkeep_of(manager, fault, refreshed=None):
    return Upkeep(
        manager,
        fault=fault,
        status=lambda: "all well",
        refresh=(refreshed or threading.Event()).set,
        refresh_s=3600.0,
    )


def test_the_watchdog_is_fed_only_while_all_is_well(systemd, tmp_path):
    fault = [""]
    refreshed = threading.Event()
    upkeep = upkeep_of(manager_of(tmp_path, WATCHDOG_USEC="40000"), lambda: fault[0], refreshed)
    upkeep.start()
    assert systemd.next() == "READY=1"
    assert {systemd.next() for _ in range(2)} == {"WATCHDOG=1", "STATUS=all well"}
    assert refreshed.wait(30 * PATIENCE)
    assert systemd.next() == "WATCHDOG=1"
    fault[0] = "The loop 'camera' hangs."
    looked = []
    upkeep._fault = lambda: looked.append(1) or fault[0]
    wait_for(lambda: len(looked) >= 2)
    systemd.drain()
    wait_for(lambda: len(looked) >= 6)
    systemd.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        systemd.next()
    systemd.socket.settimeout(30 * PATIENCE)
    fault[0] = ""
    assert systemd.next() == "WATCHDOG=1"
    upkeep.stop()
    while (state := systemd.next()) == "WATCHDOG=1":
        pass
    assert state == "STOPPING=1"


def test_a_refresh_that_fails_does_not_starve_the_watchdog(systemd, tmp_path, caplog):
    def fail():
        raise RuntimeError("boom")

    upkeep = upkeep_of(manager_of(tmp_path, WATCHDOG_USEC="40000"), lambda: "")
    upkeep._refresh, upkeep._refresh_s = fail, 0.0
    upkeep.start()
    assert systemd.next() == "READY=1"
    fed = 0
    while fed < 3:
        fed += systemd.next() == "WATCHDOG=1"
    upkeep.stop()
    assert "boom" in caplog.text


def test_a_loop_that_hangs_is_told_from_one_that_rests():
    pulse = Pulse()
    live = Liveness([threading.current_thread()], {"infer": [pulse]}, patience_s=0.05)
    pulse.rest()
    assert live.fault() == ""
    pulse.beat()
    wait_for(live.fault)
    assert "'infer' hangs" in live.fault()
    pulse.beat()
    assert Liveness([], {"infer": [pulse]}, patience_s=60.0).fault() == ""


def test_a_thread_that_ended_is_a_fault():
    thread = threading.Thread(target=lambda: None, name="deploy")
    thread.start()
    thread.join()
    assert "'deploy' has ended" in Liveness([thread], {}, patience_s=60.0).fault()


class _Camera:
    waits = False

    def __init__(self, read):
        self.read = read

    def close(self):
        pass


def _loop(read, stopping):
    source = Source(open=lambda: _Camera(read), reopens=False)
    return CameraLoop(source, Slot(), Engine(RuntimeChoice()), Traffic(), stopping)


def test_a_camera_whose_driver_hangs_falls_silent():
    stopping, hangs = threading.Event(), threading.Event()

    def read():
        hangs.wait()
        stopping.set()
        raise CameraError("It is gone.")

    loop = _loop(read, stopping)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    live = Liveness([thread], {"camera": [loop.pulse]}, patience_s=0.1)
    assert "'camera' hangs" in wait_for(live.fault)
    hangs.set()
    thread.join(30 * PATIENCE)


def test_a_camera_that_is_away_is_tried_again_and_lives(monkeypatch):
    monkeypatch.setattr(loops, "_FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(loops, "_LAST_RETRY_S", 0.01)
    stopping, tries = threading.Event(), []

    def read():
        tries.append(loop.pulse.silent_s)
        raise CameraError("It is gone.")

    loop = _loop(read, stopping)
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    wait_for(lambda: len(tries) >= 5)
    assert max(tries) < 30 * PATIENCE
    stopping.set()
    thread.join(30 * PATIENCE)
    assert not thread.is_alive()
