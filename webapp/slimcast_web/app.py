"""The ASGI app: Streamlit's pages, our routes beside them, one token check over all, and its lifespan."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from slimcast_edge.exchange import PATH as ENROLMENT_PATH
from slimcast_web.headers import SecurityHeaders
from slimcast_web.middleware import TokenMiddleware
from slimcast_web.routes import alerts, artifacts, enrolment, live, snapshots, status
from slimcast_web.services import studio
from slimcast_web.services.studio import Studio
from slimcast_web.sign_in import SignIn

MAIN_SCRIPT = Path(__file__).parent / "pages" / "main.py"


def build_app(opened: Studio) -> st.App:
    """Return the app for an open studio, which it starts and stops; who may come in is in its settings."""
    # Cookies do not tell ports apart, so the name does: two studios here do not sign each other out.
    settings = opened.settings
    cookie = f"slimcast_token_{settings.port}"
    sign_in = SignIn(settings.allowed_users) if settings.allowed_users else None
    return st.App(
        MAIN_SCRIPT,
        lifespan=_lifespan(opened),
        routes=routes(),
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(TokenMiddleware, token=settings.token, cookie=cookie, sign_in=sign_in),
        ],
    )


def routes() -> list[BaseRoute]:
    """Return everything that is served beside the pages."""
    return [
        WebSocketRoute("/api/live", live.live_socket),
        Route("/api/live/{device}.mjpg", live.mjpeg),
        Route("/api/live/{device}.jpg", live.snapshot),
        Route("/api/live/{device}/{camera}.mjpg", live.mjpeg),
        Route("/api/live/{device}/{camera}.jpg", live.snapshot),
        Route("/api/snapshots/{device}/{id}.jpg", snapshots.picture),
        Route("/api/artifacts/{sha256}.onnx", artifacts.download),
        Route("/api/alerts", alerts.listing),
        # Streamlit serves its first page under "/" only; its own name works as well.
        Route("/home", lambda request: RedirectResponse(request.url.replace(path="/"))),
        Route(ENROLMENT_PATH, enrolment.enrol, methods=["POST"]),
        Route("/healthz", status.healthz),
        Route("/metrics", status.metrics),
    ]


def _lifespan(opened: Studio) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any] | None]]:
    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any] | None]:
        loop = asyncio.get_running_loop()
        live.closing.clear()
        _on_stop_signal(lambda: loop.call_soon_threadsafe(live.close_streams))
        await asyncio.to_thread(opened.start)
        studio.use(opened)
        try:
            yield {}
        finally:
            studio.use(None)
            await asyncio.to_thread(opened.stop)

    return lifespan


def _on_stop_signal(tell: Callable[[], Any]) -> None:
    """Have the endless MJPEG streams told of a stop signal: the server waits for them before it closes."""
    if threading.current_thread() is not threading.main_thread():
        return  # a test client; signals belong to the main thread
    for number in (signal.SIGINT, signal.SIGTERM):
        previous = signal.getsignal(number)

        def handler(received: int, frame: FrameType | None, previous: Any = previous) -> None:
            tell()
            if callable(previous):
                previous(received, frame)

        signal.signal(number, handler)
