"""``/api/snapshots/<device>/<id>.jpg``: a picture that a device has taken."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from slimcast_web.services import streaming, studio


def picture(request: Request) -> Response:
    """Send the picture; with ``?download=1`` the browser saves it under a name that says where it is from."""
    device, picture_id = request.path_params["device"], request.path_params["id"]
    found = streaming.picture(studio.current(), device, picture_id)
    if found is None:
        text = "This picture is no longer here. The Fleet page fetches those that the device has kept."
        return PlainTextResponse(text, status_code=404)
    headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
    if request.query_params.get("download"):
        headers["Content-Disposition"] = f'attachment; filename="{found.name}"'
    return Response(found.jpeg, media_type="image/jpeg", headers=headers)
