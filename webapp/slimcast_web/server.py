"""Start the app: settings, a free port, a token where one is needed."""

import logging
import sys
from typing import Any

from slimcast.errors import SlimcastError
from slimcast.ports import check_port
from slimcast.settings import Settings
from slimcast_edge.errors import SettingsError
from slimcast_web import theme
from slimcast_web.sign_in import SignIn

STARTUP_FAILED = 2


def main() -> int:
    """Run the app until it is stopped; return the exit code."""
    # Libraries tell too much at INFO: what they warn of, and what we say.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    for package in ("slimcast", "slimcast_edge", "slimcast_web"):
        logging.getLogger(package).setLevel(logging.INFO)
    try:
        settings = Settings.from_environment().with_token()
        check_free(settings.host, settings.port)
        if settings.allowed_users:
            SignIn(settings.allowed_users).check_settings()
        # Streamlit takes a second to import: only once it is clear that it can be used.
        from slimcast_web.app import build_app
        from slimcast_web.services.studio import open_studio

        opened = open_studio(settings)
        # Dask sets a level of its own when it is imported, and tells of every moment in which it waited.
        logging.getLogger("distributed").setLevel(logging.ERROR)
    except SlimcastError as error:
        print(f"slimcast: {error}", file=sys.stderr)
        return STARTUP_FAILED
    app = build_app(opened)
    print(f"Slimcast studio: {settings.web_url()}", flush=True)
    app.run(config=streamlit_options(settings))
    return 0


def check_free(host: str, port: int) -> None:
    """Make sure that the port is free.

    Raises:
        SettingsError: it is not, or the host's address is none of this machine's.

    """
    try:
        check_port(host, port)
    except OSError as error:
        raise SettingsError(
            f"Port {port} on {host} cannot be used ({error.strerror or error}). Does another studio run? "
            "Choose another port with SLIMCAST_PORT, such as SLIMCAST_PORT=8502."
        ) from error


def streamlit_options(settings: Settings) -> dict[str, Any]:
    """Return Streamlit's configuration: no telemetry, no browser, our theme."""
    from slimcast_web.services.datasets import MAX_UPLOAD_MB

    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": MAX_UPLOAD_MB,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "logger.hideWelcomeMessage": True,
        **theme.streamlit_options(),
    }
