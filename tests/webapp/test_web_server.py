"""Starting the app: port, token, address."""

import socket
from dataclasses import replace

import psutil
import pytest

from slimcast.ports import free_port
from slimcast_edge.errors import SettingsError
from slimcast_web import server, theme
from slimcast_web.services import datasets
from support_browser import running_app


def test_a_port_in_use_is_named_with_the_way_out(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"(?s){port}.*SLIMCAST_PORT"):
            server.check_free("127.0.0.1", port)


def test_streamlit_knows_every_option_and_sends_no_telemetry(settings):
    from streamlit import config

    options = server.streamlit_options(settings)
    assert options["browser.gatherUsageStats"] is False
    assert set(options) <= set(config._config_options_template)


def test_the_server_takes_what_the_page_lets_people_upload(settings):
    assert server.streamlit_options(settings)["server.maxUploadSize"] >= datasets.MAX_UPLOAD_MB


@pytest.mark.slow
def test_answers_do_not_wait_for_the_browser_to_acknowledge_those_before(settings, tmp_path):
    """asyncio's own loop leaves TCP_NODELAY off on Streamlit's sockets, which costs 40 ms a request."""
    chosen = replace(settings, port=free_port(), broker_port=free_port())
    with running_app(chosen, tmp_path / "app.log"):
        listening = next(
            child
            for child in psutil.Process().children()
            if any(one.laddr.port == chosen.port for one in child.net_connections("inet"))
        )
        assert any("uvloop" in file.path for file in listening.memory_maps())


def test_text_has_contrast_in_both_themes():
    options = theme.streamlit_options()
    for name in ("light", "dark"):
        text, ground = options[f"theme.{name}.textColor"], options[f"theme.{name}.backgroundColor"]
        assert _contrast(text, ground) >= 7
        assert _contrast(options[f"theme.{name}.linkColor"], ground) >= 4.5


def _contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
