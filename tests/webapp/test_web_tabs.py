"""Ten tabs over a real server: each gets its frames; closing them, politely or not, frees what they held."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest
from websockets.sync.client import ClientConnection, connect

from slimcast.ports import free_port
from slimcast_web.app import routes
from slimcast_web.services.compress import Draft, yaml_of
from support_wait import PATIENCE, wait_for
from support_web import device, packet

TABS = 10


@pytest.fixture
def address(opened) -> Iterator[str]:
    """The routes behind a real server, in a thread; gives the address of its WebSocket."""
    opened.hub.known = [device("cam1"), device("cam2")]
    config = uvicorn.Config(Starlette(routes=routes()), port=free_port(), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started, "the server", 20)
    yield f"ws://127.0.0.1:{config.port}/api/live"
    server.should_exit = True
    thread.join(30 * PATIENCE)


def watchers(hub) -> int:
    return sum(len(viewers) for viewers in hub.watchers.values())


def open_tab(address: str) -> ClientConnection:
    socket = connect(address, close_timeout=5, compression=None)
    socket.send(json.dumps({"devices": "*", "window": 2}))
    return socket


def next_frame(socket: ClientConnection) -> bytes:
    while True:
        message = socket.recv(timeout=20 * PATIENCE)
        if isinstance(message, bytes):
            return message


def test_ten_tabs_see_frames_and_leave_nothing_behind(opened, address):
    # The event loop keeps a few threads for work that blocks: they are there before the first round counts.
    for _ in range(2):
        with contextlib.closing(open_tab(address)):
            wait_for(lambda: watchers(opened.hub) == 2, "the first viewer", 20)
        wait_for(lambda: watchers(opened.hub) == 0, "it to be forgotten", 20)
    for _ in range(2):
        allowed = threading.active_count() + LOOP_THREADS
        tabs = [open_tab(address) for _ in range(TABS)]
        wait_for(lambda: watchers(opened.hub) == 2 * TABS, "ten viewers of both cameras", 20)
        opened.hub.deliver(packet("cam1", number=7))
        assert all(b'"cam1"' in next_frame(tab) for tab in tabs)
        for index, tab in enumerate(tabs):
            if index % 2:
                tab.close()
            else:
                tab.socket.close()  # as a laptop that is shut: no goodbye
        wait_for(lambda: watchers(opened.hub) == 0, "all ten to be forgotten", 30)
        del tabs
        wait_for(
            lambda: threading.active_count() <= allowed,  # noqa: B023 - called before the next round
            "their threads to end",
            30,
        )


LOOP_THREADS = 8
"""More than the default executor may still grow by; far fewer than a thread for each tab and round."""


def test_a_tab_that_stops_reading_holds_up_no_other(opened, address):
    with contextlib.closing(open_tab(address)) as stalled, contextlib.closing(open_tab(address)) as reading:
        wait_for(lambda: watchers(opened.hub) == 4, "both viewers", 20)
        assert stalled is not reading
        for number in range(50):
            opened.hub.deliver(packet("cam2", number=number, size=50_000))
            time.sleep(0)
        frame = next_frame(reading)
        assert b'"cam2"' in frame


def _tab() -> AppTest:
    script = "from slimcast_web.pages import compress\ncompress.show()"
    return AppTest.from_string(script, default_timeout=60 * PATIENCE).run()


def test_a_recipe_belongs_to_the_tab_that_writes_it(opened):
    one, other = _tab(), _tab()
    one.radio(key="subject-dial").set_value("Small").run()
    other.text_area(key="recipe-yaml").set_value(yaml_of(Draft(seed=5))).run()
    one.run()
    assert "macs: 0.25" in one.text_area(key="recipe-yaml").value
    assert "seed: 5" in other.text_area(key="recipe-yaml").value
