"""The deployment on a disk that fails, with a clock that jumps, on a slow link: a device keeps its model."""

import errno
import hashlib
import logging
import threading
import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast_edge.deploy import download, fetch, startup
from slimcast_edge.deploy.download import Download
from slimcast_edge.deploy.machine import Machine
from slimcast_edge.deploy.port import DeployOptions, Health, TrialPassed
from slimcast_edge.deploy.startup import adopt, begin, open_first
from slimcast_edge.deploy.state import Deployment, ModelEntry, StateFolder
from slimcast_edge.errors import ArtifactError, SettingsError
from slimcast_edge.signing import sign
from slimcast_edge.wire import ArtifactRef, Desired, DeviceState
from support_artifacts import make_artifact
from support_wait import wait_for

KEY = Ed25519PrivateKey.generate()
OLD = make_artifact(name="old")
NEW = make_artifact(name="new", bias=0.5, ballast_bytes=20_000)
FULL = OSError(errno.ENOSPC, "No space left on device")
READ_ONLY = OSError(errno.EROFS, "Read-only file system")


def sha(content):
    return hashlib.sha256(content).hexdigest()


class Host:
    """The client around the deployment: serves chunks, notes what is reported, classifies with `active`."""

    connected = True

    def __init__(self):
        self.machine = None
        self.files = {sha(content): content for content in (OLD, NEW)}
        self.reports, self.events, self.asked = [], [], []
        self.active = sha(OLD)
        self.errors = 0

    def ask(self, want):
        self.asked += want.chunks
        content, size = self.files[want.artifact], want.chunk_bytes
        for number in want.chunks:
            self.machine.chunk(want.artifact, number, content[number * size : (number + 1) * size])

    def listen(self, sha256, on): ...

    def report(self, reported):
        self.reports.append(reported)

    def tell(self, event):
        self.events.append(event.kind)

    def obey(self, order): ...

    def swap(self, path, entry):
        assert sha(path.read_bytes()) == entry.sha256
        self.active = entry.sha256

    def unload(self):
        self.active = None

    def settle(self): ...

    def health(self):
        return Health(
            seconds=1, captured=99, classified=99, errors=self.errors, last_error="bad", latency_ms=1, fps=30
        )


@pytest.fixture
def folder(tmp_path):
    """A state folder with the model OLD."""
    (tmp_path / "old.onnx").write_bytes(OLD)
    made = StateFolder(tmp_path / "state")
    adopt(made, Deployment(), tmp_path / "old.onnx")
    return made


@pytest.fixture
def make_machine(folder):
    machines = []

    def make(host, **options):
        keys = SimpleNamespace(keys=lambda: (KEY.public_key(),), follow=lambda desired, signer: None)
        machine = Machine(
            folder=folder,
            host=host,
            trial=lambda path: TrialPassed(latency_ms=1.0),
            identity=("lab", "cam1", "s1"),
            keys=keys,
            options=DeployOptions(probation_s=0, probation_frames=1, reask_s=0.1, stall_s=0.5, **options),
            deployment=begin(folder),
        )
        host.machine = machine
        thread = threading.Thread(target=machine.run)
        machines.append((machine, thread))
        thread.start()
        return machine

    yield make
    for machine, thread in machines:
        machine.stop()
        thread.join(10)


def order(revision=1, content=NEW):
    ref = ArtifactRef(sha256=sha(content), size_bytes=len(content), chunk_bytes=1024, name="new")
    return sign(Desired(site="lab", device="cam1", revision=revision, artifact=ref), KEY).encode()


def wait_state(host, state, revision=1):
    def found():
        last = host.reports[-1] if host.reports else None
        return last if last and (last.state, last.revision) == (state, revision) else None

    return wait_for(found, f"{state} at revision {revision}")


def failing(error, times=10**9):
    """Return a function that fails so many times, then works as `real`."""
    left = [times]

    def wrap(real):
        def call(*arguments, **options):
            if left[0] > 0:
                left[0] -= 1
                raise error
            return real(*arguments, **options)

        return call

    return wrap


@pytest.mark.parametrize("error", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_a_disk_that_takes_no_state_keeps_the_old_model_and_says_so(folder, make_machine, monkeypatch, error):
    host = Host()
    machine = make_machine(host)
    save = StateFolder.save
    monkeypatch.setattr(StateFolder, "save", failing(error)(save))
    machine.order(order())
    report = wait_state(host, DeviceState.FAILED)
    assert report.reason == "no_space"
    assert error.strerror in report.message
    assert "publish again" in report.message
    assert (report.active, host.active) == (sha(OLD), sha(OLD))
    monkeypatch.setattr(StateFolder, "save", save)
    machine.order(order())
    assert wait_state(host, DeviceState.ACTIVE).active == host.active == sha(NEW)


@pytest.mark.parametrize("saves", range(1, 7))
def test_a_disk_that_fails_at_any_step_ends_with_a_whole_model_and_a_report(
    folder, make_machine, monkeypatch, saves
):
    """The first `saves` states are written, then nothing is."""
    host = Host()
    machine = make_machine(host)
    save, count = StateFolder.save, [0]

    def some(self, deployment):
        count[0] += 1
        if count[0] > saves:
            raise FULL
        save(self, deployment)

    monkeypatch.setattr(StateFolder, "save", some)
    machine.order(order())
    wait_for(lambda: host.reports[-1].revision == 1 and host.reports[-1].state.is_settled(), "the end")
    last = host.reports[-1]
    assert last.active == host.active
    assert last.state in {DeviceState.FAILED, DeviceState.ACTIVE}
    # What is on the disk is what the next start finds: it opens a whole model and comes to an end, too.
    monkeypatch.setattr(StateFolder, "save", save)
    machine.stop()
    after, opened = open_first(folder, begin(folder), lambda path, entry: entry.sha256)
    assert opened == after.active.sha256
    again = Host()
    again.active = opened
    make_machine(again)
    if not begin(folder).state.is_settled():
        assert wait_state(again, DeviceState.ACTIVE).active == sha(NEW)


def test_a_full_disk_in_the_middle_of_a_download_is_told_at_once(folder, make_machine, monkeypatch):
    host = Host()
    machine = make_machine(host)
    write, count = download._write_at, [0]

    def some(descriptor, data, offset):
        count[0] += 1
        if count[0] > 6:
            raise FULL
        write(descriptor, data, offset)

    monkeypatch.setattr(download, "_write_at", some)
    machine.order(order())
    report = wait_state(host, DeviceState.FAILED)
    assert (report.reason, host.active) == ("no_space", sha(OLD))
    assert len(set(host.asked)) <= 16, "it went on asking for what it could not keep"
    monkeypatch.setattr(download, "_write_at", write)
    host.asked.clear()
    machine.order(order())
    wait_state(host, DeviceState.ACTIVE)
    assert not {0, 1, 2} & set(host.asked), "what had been written was fetched again"


def test_too_little_room_is_known_before_anything_is_fetched(folder, make_machine, monkeypatch):
    host = Host()
    machine = make_machine(host)
    monkeypatch.setattr(download.os, "statvfs", lambda _path: SimpleNamespace(f_bavail=10, f_frsize=4096))
    machine.order(order())
    assert "only 0.0 MB are free" in wait_state(host, DeviceState.FAILED).message
    assert host.asked == []


def test_a_model_that_fails_is_swapped_out_even_if_the_disk_cannot_take_the_news(
    folder, make_machine, monkeypatch
):
    host = Host()
    host.errors = 99
    machine = make_machine(host)
    save = StateFolder.save

    def no_rollbacks(self, deployment):
        if deployment.state is DeviceState.ROLLED_BACK:
            raise FULL
        save(self, deployment)

    monkeypatch.setattr(StateFolder, "save", no_rollbacks)
    machine.order(order())
    assert wait_state(host, DeviceState.ROLLED_BACK).active == host.active == sha(OLD)
    assert machine.counters["unsaved_states"] >= 1


def test_a_wall_clock_that_jumps_changes_nothing(folder, make_machine, monkeypatch):
    host = Host()
    machine = make_machine(host)
    real, jumps = time.time, iter([-9e8, 0.0, 5e8] * 1000)
    monkeypatch.setattr(time, "time", lambda: max(0.0, real() + next(jumps)))
    machine.order(order())
    assert wait_state(host, DeviceState.ACTIVE).active == sha(NEW)
    assert max(host.asked.count(number) for number in host.asked) == 1


def test_a_download_keeps_to_its_rate(folder, make_machine, monkeypatch):
    slept, now = [], [0.0]

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(fetch.time, "sleep", sleep)
    monkeypatch.setattr(fetch.time, "monotonic", lambda: now[0])
    host = Host()
    size = 1024
    machine = SimpleNamespace(chunk=lambda sha256, number, data: loading.add(number, data))
    host.machine = machine
    ref = ArtifactRef(sha256=sha(NEW), size_bytes=len(NEW), chunk_bytes=size, name="new")
    loading = Download(folder.downloads, ref)
    fetch.fetch(
        loading,
        host=host,
        options=DeployOptions(max_download_kbps=80),  # 10 000 bytes a second
        give_way=lambda: False,
        tell=lambda _progress: None,
    )
    loading.close()
    assert now[0] == pytest.approx(len(NEW) / 10_000, rel=0.1)
    assert max(slept) <= 1.0
    assert host.asked == list(range(ref.chunks))


class TestStart:
    """Which model a process starts with."""

    def test_a_read_only_disk_does_not_keep_a_camera_from_starting(self, folder, monkeypatch, caplog):
        now = folder.load().model_copy(update={"state": DeviceState.PROBATION, "running": True})
        folder.save(now)
        monkeypatch.setattr(StateFolder, "save", failing(READ_ONLY)(StateFolder.save))
        with caplog.at_level(logging.ERROR):
            now, opened = open_first(folder, begin(folder), lambda path, entry: entry.name)
        assert opened == "old"
        assert "starts all the same" in caplog.text

    def test_a_damaged_state_file_leads_to_the_state_before(self, folder):
        folder.save(folder.load().model_copy(update={"revision": 7}))
        state = folder.folder / "deployment.json"
        state.write_text('{"version": 1, "revi')
        assert folder.load().active.name == "old"
        assert (folder.folder / "deployment.damaged").exists()

    @pytest.mark.parametrize("damage", [b"rubbish", None, "one bit"], ids=["rubbish", "deleted", "one bit"])
    def test_a_lost_model_brings_the_one_before_back(self, folder, damage):
        path = folder.model_path(sha(NEW))
        entry, old = ModelEntry(sha256=sha(NEW), name="new"), folder.load().active
        folder.save(folder.load().model_copy(update={"active": entry, "previous": old}))
        if damage == "one bit":
            path.write_bytes(bytes([NEW[0]]) + bytes([NEW[1] ^ 1]) + NEW[2:])
        elif damage is not None:
            path.write_bytes(damage)
        now, opened = open_first(folder, begin(folder), lambda path, entry: entry.name)
        assert (opened, now.state, now.active) == ("old", DeviceState.ROLLED_BACK, old)
        assert folder.load() == now

    def test_with_nothing_left_what_was_ordered_is_fetched_again(self, folder, make_machine):
        host = Host()
        machine = make_machine(host)
        machine.order(order())
        wait_state(host, DeviceState.ACTIVE)
        machine.stop()
        for path in (folder.folder / "models").iterdir():
            path.write_bytes(b"rubbish")
        now, opened = open_first(folder, begin(folder), lambda path, entry: entry)
        assert opened is None
        assert now.state is DeviceState.DOWNLOADING
        folder.save(now)
        again = Host()
        make_machine(again)
        assert wait_state(again, DeviceState.ACTIVE).active == again.active == sha(NEW)

    def test_a_model_of_the_settings_that_cannot_be_copied_is_a_sentence(self, folder, tmp_path, monkeypatch):
        monkeypatch.setattr(startup.shutil, "copyfile", failing(READ_ONLY)(None))
        with pytest.raises(SettingsError, match=r"cannot be copied into .*: Read-only file system\."):
            adopt(folder, Deployment(), tmp_path / "old.onnx")

    def test_what_is_no_model_is_refused_before_it_is_copied(self, folder, tmp_path):
        (tmp_path / "bad.onnx").write_bytes(b"rubbish")
        with pytest.raises(ArtifactError):
            adopt(folder, Deployment(), tmp_path / "bad.onnx")
        assert folder.load().active.name == "old"


def test_what_was_compiled_goes_with_its_model(folder, make_machine):
    """Engines of TensorRT have tens of megabytes each: those of every model ever run would fill a card."""
    engines = folder.folder / "engines"
    for name in (sha(OLD), sha(NEW), "measured"):
        (engines / name).mkdir(parents=True)
        (engines / name / "engine").write_bytes(b"x")
    (engines / "shared.timing").write_bytes(b"x")
    host = Host()
    machine = make_machine(host)
    started = {sha(OLD), "shared.timing"}
    wait_for(lambda: {path.name for path in engines.iterdir()} == started, "a start to tidy up")
    assert (engines / sha(OLD) / "engine").exists()
    (engines / sha(NEW)).mkdir()
    machine.order(order())
    wait_state(host, DeviceState.ACTIVE)
    later = make_artifact(name="later", bias=0.25)
    host.files[sha(later)] = later
    machine.order(order(2, later))
    wait_state(host, DeviceState.ACTIVE, revision=2)
    wait_for(lambda: not (engines / sha(OLD)).exists(), "the oldest to go")
    assert {path.name for path in engines.iterdir()} == {sha(NEW), "shared.timing"}
    assert host.reports[-1].previous == sha(NEW)
