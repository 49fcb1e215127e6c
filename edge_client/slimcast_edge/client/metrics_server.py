"""Serves the figures for Prometheus on a port of this device."""

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from slimcast_edge.client.metrics import CONTENT_TYPE, render
from slimcast_edge.client.vitals import Vitals

logger = logging.getLogger(__name__)

_MAX_READERS = 4
_TIMEOUT_S = 5.0


class MetricsServer:
    """Serves ``/metrics`` to a few readers at a time.

    Raises (from `start`):
        OSError: the port cannot be had.
    """

    def __init__(self, host: str, port: int, vitals: Callable[[], Vitals]) -> None:
        self._host, self._port, self._vitals = host, port, vitals
        self._server: _Server | None = None

    def start(self) -> int:
        """Listen, and return the port."""
        self._server = _Server((self._host, self._port), self._vitals)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics", daemon=True).start()
        port = int(self._server.server_address[1])
        logger.info("Figures for Prometheus: http://%s:%d/metrics", self._host, port)
        return port

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _MAX_READERS

    def __init__(self, address: tuple[str, int], vitals: Callable[[], Vitals]) -> None:
        self.vitals = vitals
        self._places = threading.BoundedSemaphore(_MAX_READERS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:  # whoever holds all places is slow or hostile; Prometheus comes again
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, _request: Any, client_address: Any) -> None:
        logger.debug("A reader of the metrics (%s) went away.", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S
    server: _Server
    server_version, sys_version = "slimcast-edge", ""

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, "There is only /metrics")
            return
        content = render(self.server.vitals()).encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("metrics: " + format, *args)
