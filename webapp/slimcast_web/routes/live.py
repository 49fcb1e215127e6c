"""``/api/live``: one WebSocket for the whole wall; and the same cameras as MJPEG and as a single JPEG."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Coroutine
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from slimcast.errors import FleetError, SlimcastError
from slimcast.fleet.records import source_name
from slimcast_web.services import comparing, live, streaming, studio

if TYPE_CHECKING:
    from slimcast.fleet.hub import FleetHub

STATES_EVERY_S = 1.0
FIRST_FRAME_S = 10.0
BOUNDARY = "slimcast-frame"
MAX_MESSAGE_CHARS = 10_000

closing = asyncio.Event()
"""Set when the server is about to stop; ends the MJPEG streams, which would go on for ever."""

_streams: set[asyncio.Event] = set()


def close_streams() -> None:
    """End all MJPEG streams. Call it in the event loop."""
    closing.set()
    for news in _streams:
        news.set()


class _Request:
    """What the viewer has asked for last. ``"*"`` follows the fleet as it grows."""

    def __init__(self) -> None:
        self.devices: list[str] = []
        self.paused: set[str] = set()
        self.everything = False
        self.window = 0
        self.pictures: asyncio.Queue[str] = asyncio.Queue(live.MAX_DEVICES)


async def live_socket(websocket: WebSocket) -> None:
    """Serve one wall.

    Cameras are named by their device, or as ``device/camera`` where it has several.
    From the browser, text: ``{"devices": ["cam1"] or "*", "paused": ["cam2"], "window": 2}`` (those that are
    paused are not watched), ``{"compare": {"cam1": {"artifact", "name"}}}`` (a second model to answer beside
    the device's own), ``{"ack": "cam1"}``, and ``{"picture": "cam1"}`` to have a picture taken.
    To the browser, binary: frames (`services.live.pack`); text, once a second: ``{"devices": [states],
    "compare": {"cam1": state}}`` (the latter while something is compared), and for each picture
    ``{"picture": {"device", "address", "error"}}``.
    """
    await websocket.accept()
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    hub = studio.current().hub
    viewer = live.Viewer(hub, lambda: _wake(loop, news))
    compared = comparing.Comparisons(hub, viewer.name)
    wanted = _Request()
    try:
        async with anyio.create_task_group() as group:
            for job in (
                _listen(websocket, hub, viewer, compared, wanted),
                _send_frames(websocket, viewer, news),
                _send_states(websocket, hub, viewer, compared, wanted),
                _send_pictures(websocket, wanted),
            ):
                group.start_soon(_until_gone, group.cancel_scope, job)
    finally:
        viewer.close()
        compared.close()


async def _until_gone(scope: anyio.CancelScope, job: Coroutine[Any, Any, None]) -> None:
    """Do one part of the work; when the browser has gone, also in the middle of a message, end all."""
    try:
        await job
    except (WebSocketDisconnect, RuntimeError):
        scope.cancel()


async def _listen(
    websocket: WebSocket,
    hub: "FleetHub",
    viewer: live.Viewer,
    compared: comparing.Comparisons,
    wanted: _Request,
) -> None:
    while True:
        message = _parse(await _received(websocket))
        if isinstance(message.get("ack"), str):
            viewer.acknowledge(message["ack"])
        if isinstance(message.get("picture"), str):
            with contextlib.suppress(asyncio.QueueFull):
                wanted.pictures.put_nowait(message["picture"])
        if "compare" in message:
            await asyncio.to_thread(compared.want, comparing.asked(message["compare"]))
        devices = message.get("devices")
        if devices == "*" or isinstance(devices, list):
            window = message.get("window")
            wanted.window = window if isinstance(window, int) else 0
            wanted.everything = devices == "*"
            wanted.devices = _texts(devices)
            wanted.paused = set(_texts(message.get("paused")))
            await _apply(hub, viewer, wanted)


async def _send_frames(websocket: WebSocket, viewer: live.Viewer, news: asyncio.Event) -> None:
    while True:
        news.clear()
        packet = viewer.take()
        if packet is None:
            await news.wait()
            continue
        # Comes back only once the socket's buffer has room again.
        await websocket.send_bytes(live.pack(packet))


async def _send_states(
    websocket: WebSocket,
    hub: "FleetHub",
    viewer: live.Viewer,
    compared: comparing.Comparisons,
    wanted: _Request,
) -> None:
    while True:
        states = await asyncio.to_thread(live.device_states, hub)
        second = compared.states()
        await websocket.send_text(json.dumps({"devices": states} | ({"compare": second} if second else {})))
        await asyncio.sleep(STATES_EVERY_S)
        await _apply(hub, viewer, wanted)


async def _send_pictures(websocket: WebSocket, wanted: _Request) -> None:
    while True:
        device = await wanted.pictures.get()
        # A device may take seconds to answer: this waits in anyio's threads, so that those of the event loop
        # are free for the frames; and a closed tab does not wait for it.
        picture = await anyio.to_thread.run_sync(_take_picture, device, abandon_on_cancel=True)
        await websocket.send_text(json.dumps({"picture": picture}))


def _take_picture(device: str) -> dict[str, str]:
    try:
        picture = streaming.take_and_wait(studio.current(), device)
    except SlimcastError as error:
        return {"device": device, "address": "", "error": str(error)}
    return {"device": device, "address": streaming.address(device, picture), "error": ""}


async def _apply(hub: "FleetHub", viewer: live.Viewer, wanted: _Request) -> None:
    devices = wanted.devices
    if wanted.everything:
        devices = [device.name for device in hub.devices()]
    devices = [name for name in live.expanded(hub, devices) if name not in wanted.paused]
    await asyncio.to_thread(viewer.want, devices, wanted.window)


async def _received(websocket: WebSocket) -> str:
    """Return the next message; one of bytes, which no page of ours sends, counts as an empty one."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return message.get("text") or ""


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_MESSAGE_CHARS:
        return {}
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(news.set)


async def mjpeg(request: Request) -> Response:
    """Stream one camera as ``multipart/x-mixed-replace``, for browsers, VLC and recorders."""
    try:
        camera = _camera(request)
    except FleetError as error:
        return PlainTextResponse(str(error), status_code=404)
    return StreamingResponse(
        _parts(camera),
        media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}",
        # "identity" keeps the compressing middleware from buffering the stream.
        headers={"Cache-Control": "no-store", "Content-Encoding": "identity"},
    )


def _camera(request: Request) -> str:
    """Return the name of the camera that the address means.

    Raises:
        FleetError: there is none; lists those of its device.

    """
    given = request.path_params
    device = studio.current().hub.device(given["device"])
    name = source_name(device.name, given.get("camera", ""))
    if name not in device.sources:
        known = ", ".join(f"/api/live/{source}.mjpg" for source in device.sources)
        raise FleetError(f"There is no camera {name[:100]!r}. The cameras of {device.name}: {known}.")
    return name


async def _parts(camera: str) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    viewer = live.Viewer(studio.current().hub, lambda: _wake(loop, news))
    _streams.add(news)
    try:
        await asyncio.to_thread(viewer.want, [camera])
        while not closing.is_set():
            news.clear()
            packet = viewer.take()
            if packet is None:
                await news.wait()
                continue
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(packet.jpeg)}\r\n\r\n"
            yield head.encode() + packet.jpeg + b"\r\n"
    finally:
        _streams.discard(news)
        viewer.close()


async def snapshot(request: Request) -> Response:
    """Return the newest frame of a camera, waiting for one if nobody has been watching."""
    try:
        camera = _camera(request)
    except FleetError as error:
        return PlainTextResponse(str(error), status_code=404)
    stream = _parts(camera)
    try:
        part = await asyncio.wait_for(anext(stream), FIRST_FRAME_S)
    except (TimeoutError, StopAsyncIteration):
        text = f"No frame came from {camera!r} within {FIRST_FRAME_S:.0f} s. Is its client running?"
        return PlainTextResponse(text, status_code=504)
    finally:
        await stream.aclose()
    jpeg = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})
