"""``/api/artifacts/<sha256>.onnx``: download a model under a name that a person recognises."""

import re

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from slimcast_web.services import studio

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def download(request: Request) -> Response:
    """Send the file; ``?name=`` chooses what it is called, else the first digits of its hash."""
    sha256 = request.path_params["sha256"]
    artifacts = studio.current().store.artifacts
    if not _SHA256.fullmatch(sha256) or not artifacts.exists(sha256):
        return PlainTextResponse("There is no artifact of that sha256.", status_code=404)
    name = request.query_params.get("name", "")
    if not _NAME.fullmatch(name):
        name = f"slimcast-{sha256[:12]}"
    return FileResponse(
        artifacts.local_path(sha256),
        media_type="application/octet-stream",
        filename=f"{name.removesuffix('.onnx')}.onnx",
        headers={"ETag": f'"{sha256}"', "Cache-Control": "private, max-age=31536000, immutable"},
    )
