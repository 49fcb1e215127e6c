"""Whether Prometheus can have its port."""

import contextlib
import socket
from http.client import HTTPConnection, HTTPException

from slimcast_edge.doctor.finding import Finding, bad, good
from slimcast_edge.settings import EdgeSettings


def check_metrics(settings: EdgeSettings) -> Finding:
    """Check that the port that the settings name can be listened on."""
    port, host = settings.metrics_port or 0, settings.metrics_host
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        if _is_ours(port):
            return good("metrics", f"port {port} of {host}: in use by the client that runs")
        return bad(
            "metrics",
            f"Cannot listen on port {port} of {host}: {error.strerror or error}.",
            "Choose another `metrics_port` (one above 1023 that nothing else has; `ss -ltn` lists those in "
            "use), and as `metrics_host` an address of this device or 0.0.0.0.",
        )
    return good("metrics", f"port {port} of {host} is free for Prometheus")


def _is_ours(port: int) -> bool:
    """Return whether a client of ours answers on a port of this device."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2.0)
    with contextlib.closing(connection), contextlib.suppress(OSError, HTTPException):
        connection.request("GET", "/metrics")
        return b"slimcast_" in connection.getresponse().read(20_000)
    return False
