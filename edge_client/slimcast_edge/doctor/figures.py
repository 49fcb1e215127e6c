"""Whether Prometheus can have its port."""

import socket

from slimcast_edge.doctor.finding import Finding, bad, good
from slimcast_edge.doctor.neighbour import running_client
from slimcast_edge.settings import EdgeSettings


def check_metrics(settings: EdgeSettings) -> Finding:
    """Check that the port that the settings name can be listened on."""
    port, host = settings.metrics_port or 0, settings.metrics_host
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        client = running_client()
        if client is not None:
            return good(
                "metrics", f"port {port} of {host}: in use, as by the client that runs (process {client})"
            )
        return bad(
            "metrics",
            f"Cannot listen on port {port} of {host}: {error.strerror or error}.",
            "Choose another `metrics_port` (one above 1023 that nothing else has; `ss -ltn` lists those in "
            "use), and as `metrics_host` an address of this device or 0.0.0.0.",
        )
    return good("metrics", f"port {port} of {host} is free for Prometheus")
