"""A minute of a viewer who reads no more, over a real server and socket: what it costs the studio."""

import asyncio
import base64
import os
import socket
import struct
import threading

import psutil
import pytest
import uvicorn
from starlette.applications import Starlette

from slimcast_web.app import routes
from support_wait import wait_for
from support_web import device, packet

SECONDS, FPS, FRAME_BYTES = 60, 30, 50_000
MOST_BYTES = 20_000_000


@pytest.fixture
def served(opened):
    """Return port and event loop of a server as Streamlit starts it, with our routes."""
    opened.hub.known = [device()]
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Starlette(routes=routes()), ws="websockets-sansio", log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve([listening])), daemon=True)
    thread.start()
    wait_for(lambda: server.started, "the server")
    yield listening.getsockname()[1], loop
    server.force_exit = server.should_exit = True
    thread.join(30)
    loop.close()


def stalled_viewer(port, kind):
    """Ask for the frames of a camera and read nothing of them."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect(("127.0.0.1", port))
    if kind == "mjpeg":
        viewer.sendall(b"GET /api/live/cam1.mjpg HTTP/1.1\r\nHost: here\r\n\r\n")
        return viewer
    key = base64.b64encode(os.urandom(16))
    viewer.sendall(
        b"GET /api/live HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += viewer.recv(1)
    text = b'{"devices": ["cam1"], "window": 0}'  # a viewer of ours would have a window: this one is greedy
    viewer.sendall(struct.pack("!BB4x", 0x81, 0x80 | len(text)) + text)
    return viewer


@pytest.mark.parametrize("kind", ["websocket", "mjpeg"])
def test_a_stalled_viewer_costs_little(opened, served, kind):
    port, loop = served
    process = psutil.Process()
    with stalled_viewer(port, kind):
        wait_for(lambda: opened.hub.watchers.get("cam1"), "the viewer at the hub")
        before = process.memory_info().rss
        for number in range(SECONDS * FPS):
            opened.hub.deliver(packet(number=number, size=FRAME_BYTES))
            if number % 10 == 0:  # lets the server send what it would
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0.001), loop).result(60)
        assert process.memory_info().rss - before < MOST_BYTES, "of 90 MB that were offered"
        assert opened.hub.watchers["cam1"], "it is still connected"
    # It leaves: the server forgets it, though it was in the middle of a frame.
    opened.hub.deliver(packet(number=0))
    wait_for(lambda: not opened.hub.watchers["cam1"], "the viewer to be forgotten")
