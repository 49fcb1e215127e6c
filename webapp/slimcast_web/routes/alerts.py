"""``/api/alerts``: devices that deserve attention, for other tools."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from slimcast.errors import SlimcastError
from slimcast_web.services import alerts, studio


def listing(request: Request) -> Response:
    """Return the open alerts; with ``?all=1`` the resolved ones, too."""
    everything = request.query_params.get("all", "").lower() in {"1", "true", "yes"}
    try:
        found = alerts.documents(studio.current(), everything=everything)
    except SlimcastError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    return JSONResponse({"alerts": found}, headers={"Cache-Control": "no-store"})
