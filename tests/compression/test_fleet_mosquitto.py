"""The folder of a broker: what is written, what stays, what is refused."""

import base64
import hashlib
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest
from typer.testing import CliRunner

from slimcast.cli import app
from slimcast.errors import FleetError
from slimcast.fleet.mosquitto import BrokerPlan, render_acl, render_config, write_folder
from slimcast.fleet.mosquitto.certificates import Issued, days_left, issue_server, make_authority
from slimcast.passwords import ITERATIONS, PasswordFile
from slimcast.settings import Settings
from slimcast_edge import wire
from slimcast_edge.client.home_assistant import discovery_topic
from slimcast_edge.errors import WireError

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
IN_CONTAINER = BrokerPlan(
    site="lab", folder=PurePosixPath("/mosquitto/config"), persistence="/mosquitto/data/", reloadable=False
)


def plan(folder: Path, **more) -> BrokerPlan:
    return BrokerPlan(**({"site": "lab", "folder": PurePosixPath(folder)} | more))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_files_in_deploy_are_those_that_the_command_writes():
    assert (DEPLOY / "mosquitto.conf").read_text() == render_config(IN_CONTAINER)
    write = (
        "python -c \"from slimcast.fleet.mosquitto import *; print(render_acl('lab'), end='')\" > deploy/acl"
    )
    assert (DEPLOY / "acl").read_text() == render_acl("lab"), f"The topics have changed: {write}"


def test_rights_name_every_topic_once():
    lines = render_acl("attic").splitlines()
    written = [line.split()[-1] for line in lines if line.startswith("pattern write")]
    devices = [row for row in wire.TOPICS.values() if not row.from_studio]
    assert discovery_topic("homeassistant", "attic", "cam1").startswith("homeassistant/device/cam1/slimcast_")
    assert written.pop() == "homeassistant/device/%u/+/config"
    assert written == [f"slimcast/v1/attic/%u/{row.suffix}{'/+' if row.has_tail else ''}" for row in devices]
    assert "slimcast/v1/attic/%u/desired" not in written
    assert not [line for line in lines if line.startswith("topic") and "studio" in line]
    at_home = lines[lines.index("user home-assistant") + 1 : lines.index("user studio")]
    assert [line for line in at_home if "write" in line] == ["topic readwrite homeassistant/status"]
    assert lines[-2:] == ["user studio", "topic readwrite slimcast/v1/attic/#"]
    with pytest.raises(WireError):
        render_acl("a/#")


def test_secrets_are_readable_by_their_owner_alone(tmp_path):
    write_folder(tmp_path / "b", plan(tmp_path / "b"), ["broker.local"])
    for name, allowed in (("ca-key.pem", 0o600), ("studio-password", 0o600)):
        assert mode(tmp_path / "b" / name) == allowed
    for name in ("server-key.pem", "passwords"):  # the broker's group may read these
        assert mode(tmp_path / "b" / name) & 0o027 == 0


def test_writing_again_keeps_passwords_and_certificates(tmp_path):
    first = write_folder(tmp_path, plan(tmp_path), ["a.local"])
    first.passwords.give("cam1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    write_folder(tmp_path, plan(tmp_path, port=9999), ["a.local"])
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"mosquitto.conf", "studio.env"}
    write_folder(tmp_path, plan(tmp_path), ["b.local"])
    assert (tmp_path / "server.pem").read_bytes() != before["server.pem"]
    assert (tmp_path / "ca.pem").read_bytes() == before["ca.pem"]


def test_a_certificate_that_is_about_to_end_is_renewed(tmp_path):
    write_folder(tmp_path, plan(tmp_path), ["a.local"])
    made = Issued(certificate=(tmp_path / "ca.pem").read_bytes(), key=(tmp_path / "ca-key.pem").read_bytes())
    old = issue_server(made, ["a.local"], now=datetime.now(UTC) - timedelta(days=820))
    (tmp_path / "server.pem").write_bytes(old.certificate)
    assert days_left(old.certificate) < 6
    write_folder(tmp_path, plan(tmp_path), ["a.local"])
    assert days_left((tmp_path / "server.pem").read_bytes()) > 800


def test_passwords_are_kept_as_salted_hashes(tmp_path):
    file = PasswordFile(tmp_path / "passwords")
    password = file.give("cam1")
    assert file.users() == ["cam1"]
    line = file.path.read_text().strip()
    assert password not in line
    user, _, mark = line.partition(":")
    _, kind, iterations, salt, digest = mark.split("$")
    assert (user, kind, int(iterations)) == ("cam1", "7", ITERATIONS)
    expected = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), ITERATIONS)
    assert base64.b64decode(digest) == expected
    assert file.give("cam1") != password
    assert file.users() == ["cam1"]
    assert file.remove("cam1")
    assert not file.remove("cam1")


def test_many_at_once_lose_no_user(tmp_path):
    names = [f"cam{number}" for number in range(8)]
    threads = [threading.Thread(target=PasswordFile(tmp_path / "p").give, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(PasswordFile(tmp_path / "p").users()) == names


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "+", "a/b", "#", "x" * 65])
def test_names_that_could_break_the_file_are_refused(tmp_path, name):
    with pytest.raises(FleetError, match="cannot be a user"):
        PasswordFile(tmp_path / "p").give(name)


@pytest.mark.parametrize("name", ["studio", "home-assistant"])
def test_no_device_gets_the_name_of_one_with_more_rights(tmp_path, name):
    broker = write_folder(tmp_path, plan(tmp_path, tls=False), ["a"])
    with pytest.raises(FleetError, match=f"{name}'s rights"):
        broker.admit(name)
    with pytest.raises(FleetError, match=f"{name}'s rights"):
        broker.expel(name)
    assert broker.passwords.users() == ["studio"]


def test_a_foreign_process_is_not_signalled(tmp_path):
    broker = write_folder(tmp_path, plan(tmp_path, tls=False), ["a"])
    for text in ("", "x", str(os.getpid()), "999999999"):
        (tmp_path / "run" / "mosquitto.pid").write_text(text)
        assert not broker.reload()


def test_what_is_no_host_is_refused(tmp_path):
    with pytest.raises(FleetError, match="no name of a host"):
        write_folder(tmp_path, plan(tmp_path), ["größe.local"])
    with pytest.raises(FleetError, match="at least one name"):
        issue_server(make_authority("x"), [])


def test_the_command_writes_what_a_studio_then_reads(tmp_path):
    folder = tmp_path / "broker"
    command = ["broker-config", str(folder), "--host", "broker.local", "--certificate-for", "cam1"]
    done = CliRunner().invoke(app, command, env={"SLIMCAST_SITE": "attic"})
    assert done.exit_code == 0, done.output
    assert str(folder / "mosquitto.conf") in done.output
    assert (folder / "clients" / "cam1.pem").exists()
    lines = (folder / "studio.env").read_text().splitlines()
    settings = Settings.from_environment(dict(line.split("=", 1) for line in lines))
    address = settings.broker_address()
    assert (str(address), address.user, settings.site) == ("mqtts://broker.local:8883", "studio", "attic")
    assert address.password == (folder / "studio-password").read_text().strip()
    assert settings.broker_folder == folder


def test_a_folder_that_cannot_be_written_ends_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["broker-config", str(tmp_path / "file")])
    assert done.exit_code == 4
    assert "cannot be written" in done.output
