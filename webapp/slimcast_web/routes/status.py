"""``/healthz`` for those who watch over the process, ``/metrics`` for Prometheus."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from slimcast_web.services import metrics as measures
from slimcast_web.services import studio


def healthz(_request: Request) -> Response:
    """Say whether the app serves, and whether it has its broker, without which it still serves."""
    try:
        opened = studio.current()
    except studio.StudioClosed as error:
        return JSONResponse({"status": "starting", "reason": str(error)}, status_code=503)
    return JSONResponse({"status": "ok", "broker": "connected" if opened.hub.connected else "away"})


def metrics(_request: Request) -> Response:
    """Return the studio's figures in Prometheus' text format."""
    text = measures.prometheus_text(studio.current())
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
