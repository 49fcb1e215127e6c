"""``/api/enrol``: who proves to know a one-time code learns what a device needs, nobody else anything."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from slimcast.errors import EnrolmentRefused, FleetError
from slimcast_edge.exchange import MAX_REQUEST_BYTES
from slimcast_web.services import studio


async def enrol(request: Request) -> Response:
    """Answer one request; a refusal is a sentence."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_REQUEST_BYTES:
                return PlainTextResponse("This is no request for enrolment.", status_code=413)
    except ClientDisconnect:
        return Response(status_code=400)
    source = request.client.host if request.client is not None else ""
    try:
        answer = await asyncio.to_thread(studio.current().enrolment.answer, body, source)
    except EnrolmentRefused as error:
        return PlainTextResponse(str(error), status_code=error.status)
    except FleetError as error:
        return PlainTextResponse(str(error), status_code=500)
    return Response(answer, media_type="application/json", headers={"Cache-Control": "no-store"})
