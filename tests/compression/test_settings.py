"""Settings: read from the environment, and handed on to processes unchanged."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from slimcast.settings import Settings, is_loopback
from slimcast_edge.errors import SettingsError


def test_everything_lies_below_home(tmp_path: Path):
    settings = Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)})
    assert settings.home == tmp_path
    assert settings.database_url == f"sqlite:///{tmp_path}/slimcast.db"
    assert settings.artifact_url == f"file://{tmp_path}/artifacts"
    assert (settings.keys_folder, settings.logs_folder) == (tmp_path / "keys", tmp_path / "logs")


def test_a_process_gets_the_same_settings(tmp_path: Path):
    settings = Settings.from_environment(
        {
            "SLIMCAST_HOME": str(tmp_path / "home"),
            "SLIMCAST_DATA_ROOT": str(tmp_path / "data"),
            "SLIMCAST_DATABASE_URL": "postgresql+psycopg://u:p@host/db",
            "SLIMCAST_ARTIFACT_URL": "s3://bucket/x",
            "SLIMCAST_BROKER_URL": "mqtt://host",
            "SLIMCAST_BROKER_PORT": "2883",
            "SLIMCAST_BROKER_USER": "studio",
            "SLIMCAST_BROKER_PASSWORD": "secret",
            "SLIMCAST_BROKER_PASSWORD_FILE": str(tmp_path / "password"),
            "SLIMCAST_BROKER_CA_FILE": str(tmp_path / "ca.pem"),
            "SLIMCAST_BROKER_CERTIFICATE_FILE": str(tmp_path / "own.pem"),
            "SLIMCAST_BROKER_KEY_FILE": str(tmp_path / "own-key.pem"),
            "SLIMCAST_BROKER_FOLDER": str(tmp_path / "broker"),
            "SLIMCAST_SITE": "attic",
            "SLIMCAST_DASK_SCHEDULER": "tcp://host:8786",
            "SLIMCAST_HOST": "0.0.0.0",
            "SLIMCAST_PORT": "8600",
            "SLIMCAST_TOKEN": "secret",
        }
    )
    assert Settings.from_environment(settings.to_environment()) == settings
    assert "secret" not in repr(settings)


def test_broker_is_the_embedded_one_unless_named(tmp_path: Path):
    own = Settings.from_environment({"SLIMCAST_HOME": str(tmp_path), "SLIMCAST_BROKER_PORT": "1999"})
    assert own.effective_broker_url == "mqtt://127.0.0.1:1999"
    other = Settings.from_environment({"SLIMCAST_BROKER_URL": "mqtt://elsewhere"})
    assert other.effective_broker_url == "mqtt://elsewhere"


@pytest.mark.parametrize("name", ["SLIMCAST_PORT", "SLIMCAST_BROKER_PORT"])
@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "1.5"])
def test_port_that_cannot_be(name: str, value: str):
    with pytest.raises(SettingsError, match=f"{name}='{value}' is no port"):
        Settings.from_environment({name: value})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_hosts_that_only_this_machine_reaches(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "studio.lan"])
def test_hosts_that_others_reach(host: str):
    assert not is_loopback(host)


def test_no_token_on_loopback_a_fresh_one_elsewhere_the_set_one_always():
    settings = Settings.from_environment({"SLIMCAST_HOST": "127.0.0.1"})
    assert settings.with_token().token == ""
    assert len(replace(settings, host="0.0.0.0").with_token().token) >= 32
    assert replace(settings, token="mine").with_token().token == "mine"


def test_the_web_address_carries_the_token(tmp_path: Path):
    at = replace(Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)}), port=8502)
    assert at.web_url() == "http://127.0.0.1:8502/"
    assert replace(at, token="a b&c").web_url("live") == "http://127.0.0.1:8502/live?token=a+b%26c"
    assert replace(at, host="::1").web_url() == "http://[::1]:8502/"


def test_an_app_that_listens_everywhere_is_found_by_the_name_and_from_here(tmp_path: Path):
    at = replace(Settings.from_environment({"SLIMCAST_HOME": str(tmp_path)}), host="0.0.0.0", port=8502)
    assert at.web_url() == f"http://{socket.gethostname()}:8502/"
    assert at.web_url("healthz", from_here=True) == "http://127.0.0.1:8502/healthz"
