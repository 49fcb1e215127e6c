"""Ports: free ones are found, taken ones are noticed."""

import errno
import socket

import pytest

from slimcast.ports import check_port, free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_free_port_can_be_used_until_somebody_listens_there(host: str):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        port = free_port(host)
    except OSError:
        pytest.skip(f"this machine has no address {host}")
    check_port(host, port)
    with socket.socket(family) as server:
        server.bind((host, port))
        server.listen()
        with pytest.raises(OSError, match="in use") as taken:
            check_port(host, port)
    assert taken.value.errno == errno.EADDRINUSE
    check_port(host, port)


def test_an_address_of_another_machine_cannot_be_listened_on():
    with pytest.raises(OSError, match="assign"):
        check_port("192.0.2.1", free_port())
