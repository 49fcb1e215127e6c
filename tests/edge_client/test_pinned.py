"""Pinned keys: several studios, and a studio that changes its key."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from slimcast_edge.cli import main
from slimcast_edge.deploy.orders import Refused, judge
from slimcast_edge.deploy.pinned import MAX_KEYS, KeyRing
from slimcast_edge.deploy.state import Deployment
from slimcast_edge.errors import SettingsError
from slimcast_edge.signing import fingerprint, public_key_to_text, sign
from slimcast_edge.wire import Desired

OLD, NEW, OTHER = (Ed25519PrivateKey.generate() for _ in range(3))


def public(*keys):
    return [key.public_key() for key in keys]


def marks(*keys):
    return [fingerprint(key.public_key()) for key in keys]


@pytest.fixture
def ring(tmp_path):
    return KeyRing(tmp_path / "state" / "studio.pub")


def order(key, **changes):
    desired = Desired(site="lab", device="cam1", revision=1, **changes)
    return sign(desired, key).encode()


def obeyed(ring, payload):
    return judge(payload, keys=ring.keys(), site="lab", device="cam1", now=Deployment())


def test_orders_of_every_pinned_key_are_obeyed_and_no_others(ring):
    ring.pin_only(*public(OLD, NEW))
    for key in (OLD, NEW):
        assert obeyed(ring, order(key))[1].public_bytes_raw() == key.public_key().public_bytes_raw()
    with pytest.raises(Refused, match="not signed with a pinned key"):
        obeyed(ring, order(OTHER))


def test_without_a_key_every_order_is_refused(ring):
    assert ring.keys() == []
    with pytest.raises(Refused, match="No studio's key"):
        obeyed(ring, order(OLD))


def test_a_change_of_keys_is_followed(ring):
    told = []
    ring = KeyRing(ring.path, on_change=lambda: told.append(ring.fingerprints()))
    ring.pin_only(*public(OTHER, OLD))
    ring.follow(*obeyed(ring, order(OLD, next_key=public_key_to_text(NEW.public_key()))))
    assert ring.fingerprints() == marks(OTHER, OLD, NEW)
    ring.follow(*obeyed(ring, order(NEW, retired_keys=marks(OLD))))
    assert ring.fingerprints() == marks(OTHER, NEW)
    assert told == [marks(OTHER, OLD, NEW), marks(OTHER, NEW)]


def test_the_key_that_signed_stays_whatever_it_says(ring):
    ring.pin_only(*public(OLD))
    ring.follow(*obeyed(ring, order(OLD, retired_keys=marks(OLD))))
    assert ring.fingerprints() == marks(OLD)


def test_a_next_key_that_is_none_changes_nothing(ring, caplog):
    ring.pin_only(*public(OLD))
    ring.follow(*obeyed(ring, order(OLD, next_key="nonsense")))
    assert ring.fingerprints() == marks(OLD)
    assert "could not be followed" in caplog.text


def test_there_is_a_limit(ring):
    ring.pin_only(*public(*(Ed25519PrivateKey.generate() for _ in range(MAX_KEYS - 1)), OLD))
    with pytest.raises(SettingsError, match="--remove"):
        ring.add(NEW.public_key())
    ring.follow(*obeyed(ring, order(OLD, next_key=public_key_to_text(NEW.public_key()))))
    assert len(ring.keys()) == MAX_KEYS


@pytest.mark.parametrize("content", [b"nonsense", b"\xff\xfe", b"A" * 44 + b"\n" + b"B" * 43])
def test_a_damaged_file_is_named(ring, content):
    ring.path.parent.mkdir()
    ring.path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"studio\.pub"):
        ring.keys()
    assert ring.fingerprints() == []


def test_the_command_adds_lists_and_removes(tmp_path, capsys):
    config = tmp_path / "edge.toml"
    config.write_text(f'device = "cam1"\nstate_folder = "{tmp_path / "state"}"\n')
    common = ["enroll", "--config", str(config)]
    assert main(common) == 0
    assert "every order is refused" in capsys.readouterr().err
    assert main([*common, "--key", public_key_to_text(OLD.public_key())]) == 0
    assert main([*common, "--add", "--key", public_key_to_text(NEW.public_key())]) == 0
    capsys.readouterr()
    assert main([*common, "--list"]) == 0
    assert capsys.readouterr().out.split() == marks(OLD, NEW)
    assert main([*common, "--remove", marks(OLD)[0]]) == 0
    assert capsys.readouterr().out.split() == marks(NEW)
    assert main([*common, "--remove", "feed"]) == 2
    assert marks(NEW)[0] in capsys.readouterr().err
    assert main([*common, "--code", "x"]) == 2
    assert "--studio" in capsys.readouterr().err
