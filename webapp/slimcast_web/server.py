"""Start the app: settings, a free port, a token where one is needed."""

import logging
import socket
import sys
from typing import Any
from urllib.parse import urlencode

from slimcast.errors import SlimcastError
from slimcast.settings import Settings
from slimcast_edge.errors import SettingsError
from slimcast_web import theme

STARTUP_FAILED = 2


def main() -> int:
    """Run the app until it is stopped; return the exit code."""
    # Libraries tell too much at INFO: what they warn of, and what we say.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    for package in ("slimcast", "slimcast_edge", "slimcast_web"):
        logging.getLogger(package).setLevel(logging.INFO)
    try:
        settings = Settings.from_environment().with_token()
        check_port(settings.host, settings.port)
        # Streamlit takes a second to import: only once it is clear that it can be used.
        from slimcast_web.app import build_app
        from slimcast_web.services.studio import open_studio

        opened = open_studio(settings)
    except SlimcastError as error:
        print(f"slimcast: {error}", file=sys.stderr)
        return STARTUP_FAILED
    app = build_app(opened, settings.token)
    print(f"Slimcast studio: {address(settings)}", flush=True)
    app.run(config=streamlit_options(settings))
    return 0


def address(settings: Settings) -> str:
    """Return the address to open in a browser, with the token in it."""
    token = settings.token
    host = settings.host
    if host in {"0.0.0.0", "::"}:  # everywhere; the name is the best that others can use
        host = socket.gethostname()
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}/" + (f"?{urlencode({'token': token})}" if token else "")


def check_port(host: str, port: int) -> None:
    """Make sure that the port is free.

    Raises:
        SettingsError: it is not, or the host's address is none of this machine's.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"Port {port} on {host} cannot be used ({error.strerror or error}). Does another studio run? "
                "Choose another port with SLIMCAST_PORT, such as SLIMCAST_PORT=8502."
            ) from error


def streamlit_options(settings: Settings) -> dict[str, Any]:
    """Return Streamlit's configuration: no telemetry, no browser, our theme."""
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": 1,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "logger.hideWelcomeMessage": True,
        **theme.streamlit_options(),
    }
