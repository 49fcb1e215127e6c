"""Who a broker lets in, whom a client trusts, and what each says when it does not: with a real Mosquitto."""

import logging
import re
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slimcast.fleet.mosquitto.certificates import Issued, issue_server, make_authority
from slimcast_edge.errors import SettingsError
from slimcast_edge.mqtt import BrokerAccess, BrokerAddress, Connection, parse_url
from slimcast_edge.settings import parse_settings
from slimcast_edge.wire import topic
from support_secure import SecureMosquitto
from support_wait import wait_for

STATUS = topic("lab", "cam1", "status")


def connection(address: BrokerAddress, name: str = "cam1") -> Connection:
    return Connection(address, name, site="lab", subscriptions=[STATUS], on_message=lambda *_: None)


def problem_of(address: BrokerAddress) -> str:
    """Try to connect; return what it says of its failure."""
    tried = connection(address)
    tried.start()
    try:
        problem = wait_for(lambda: tried.problem, "the connection to fail")
        assert not tried.connected
    finally:
        tried.stop()
    assert problem.startswith(f"The broker {address} cannot be used: ")
    return problem


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    server = SecureMosquitto(tmp_path_factory.mktemp("broker"))
    server.start()
    yield server
    server.stop()


@pytest.mark.mosquitto
def test_user_and_password_over_tls(broker):
    password = broker.folder.passwords.give("cam1")
    assert broker.folder.reload()
    first = connection(broker.studio, "studio")
    first.start()
    assert first.wait_connected(10)
    cam = connection(broker.address("cam1", password))
    cam.start()
    assert wait_for(lambda: cam.connected)
    assert cam.problem == ""
    for peer in (cam, first):
        peer.stop()


@pytest.mark.mosquitto
def test_wrong_password_is_told_once_and_without_the_password(broker, caplog):
    with caplog.at_level(logging.WARNING):
        problem = problem_of(broker.address("cam1", "guessed"))
    assert problem.endswith("it refuses the user 'cam1': the user or password is wrong.")
    assert len([r for r in caplog.records if "refuses the user" in r.message]) == 1
    assert "guessed" not in caplog.text
    problem = problem_of(broker.address("", ""))
    assert problem.endswith("it refuses a client without a user name: set the broker's user and password.")


@pytest.mark.mosquitto
def test_certificate_that_nobody_vouches_for(broker, tmp_path):
    address = broker.address("cam1", "x")
    assert "not vouched for by the system's certificates" in problem_of(replace(address, ca_file=None))
    other = tmp_path / "other.pem"
    other.write_bytes(make_authority("other").certificate)
    assert f"not vouched for by the CA file {other}" in problem_of(replace(address, ca_file=other))


@pytest.mark.mosquitto
def test_certificate_for_another_name(broker):
    address = replace(broker.address("cam1", "x"), host="localhost")
    assert "its certificate was not made for 'localhost'" in problem_of(address)


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("days", "words"), [(-900, "its certificate has expired"), (900, "its certificate is not valid yet")]
)
def test_certificate_out_of_its_time(tmp_path, days, words):
    late = SecureMosquitto(tmp_path)
    made = {name: (tmp_path / f"{name}.pem").read_bytes() for name in ("ca", "ca-key")}
    authority = Issued(certificate=made["ca"], key=made["ca-key"])
    issued = issue_server(authority, ["127.0.0.1"], now=datetime.now(UTC) + timedelta(days=days))
    (tmp_path / "server.pem").write_bytes(issued.certificate)
    (tmp_path / "server-key.pem").write_bytes(issued.key)
    late.start()
    try:
        assert words in problem_of(late.address("cam1", "x"))
    finally:
        late.stop()


@pytest.mark.mosquitto
def test_client_certificates(tmp_path):
    strict = SecureMosquitto(tmp_path, client_certificates=True)
    strict.start()
    try:
        bare = BrokerAccess(ca_file=strict.ca_file).address(strict.url)
        assert "it asks for a client certificate" in problem_of(bare)
        certificate, key = strict.folder.client_certificate("cam1")
        cam = connection(replace(bare, certificate_file=certificate, key_file=key))
        cam.start()
        assert cam.wait_connected(10)
        cam.stop()
        foreign = make_authority("foreign")
        (tmp_path / "foreign.pem").write_bytes(foreign.certificate + foreign.key)
        stranger = replace(bare, certificate_file=tmp_path / "foreign.pem")
        assert "it does not trust our client certificate" in problem_of(stranger)
    finally:
        strict.stop()


@pytest.mark.mosquitto
def test_tls_to_a_port_without_it(tmp_path):
    plain = SecureMosquitto(tmp_path, tls=False)
    plain.start()
    try:
        secured = replace(parse_url(plain.url), tls=True)
        assert re.search("does not speak TLS on this port|during the TLS handshake", problem_of(secured))
    finally:
        plain.stop()


def test_nobody_there(tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # taken, and not listening
        port = bound.getsockname()[1]
        assert f"nothing listens on port {port}" in problem_of(parse_url(f"mqtt://127.0.0.1:{port}"))
    assert "the name 'nowhere.invalid' is unknown" in problem_of(parse_url("mqtt://nowhere.invalid"))


def test_the_password_comes_from_a_file_and_is_never_shown(tmp_path):
    (tmp_path / "secret").write_text("open sesame\nnot this\n")
    settings = parse_settings(
        {
            "broker": "mqtt://lab:1",
            "broker_user": "cam1",
            "broker_password": "other",
            "broker_password_file": str(tmp_path / "secret"),
        }
    )
    address = settings.broker_address()
    assert (address.user, address.password) == ("cam1", "open sesame")
    assert "sesame" not in f"{address!r} {address} {settings!r}"
    assert "other" not in repr(settings)


@pytest.mark.parametrize(
    ("access", "url", "words"),
    [
        (BrokerAccess(password_file=Path("/none")), "mqtt://h", "password file /none cannot be read"),
        (BrokerAccess(ca_file=Path("/none")), "mqtt://h", "Write mqtts:// instead of mqtt://"),
        (BrokerAccess(key_file=Path("/none")), "mqtts://h", "no certificate that goes with it"),
        (BrokerAccess(), "http://u:topsecret@h", "'http://h' is no broker address"),
    ],
)
def test_access_that_cannot_be(access, url, words):
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        access.address(url)
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
@pytest.mark.parametrize("kind", ["ca_file", "certificate_file"])
def test_files_that_are_no_certificates_are_named_at_once(tmp_path, content, kind):
    path = tmp_path / "x.pem"
    if content is not None:
        path.write_bytes(content)
    address = BrokerAddress(host="h", port=1, tls=True, **{kind: path})
    with pytest.raises(SettingsError, match=re.escape(str(path))):
        connection(address)


def test_an_empty_password_file_is_named(tmp_path):
    (tmp_path / "secret").write_text("\nlater\n")
    with pytest.raises(SettingsError, match="first line"):
        BrokerAccess(password_file=tmp_path / "secret").address("mqtt://h")
