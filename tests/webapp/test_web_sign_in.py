"""Who comes in: every route of the real app, Streamlit's own included; sign-in cookies; headers."""

import json
import re
import warnings
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from slimcast_edge.errors import SettingsError
from slimcast_web import sign_in as module
from slimcast_web.app import build_app, routes
from slimcast_web.headers import HEADERS
from slimcast_web.middleware import TokenMiddleware
from slimcast_web.sign_in import SignIn

with warnings.catch_warnings():
    # Newer Starlettes prefer httpx2 and say so at import; httpx does as well for us.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

TOKEN = "correct horse"
HERE = "http://studio.example:8501"
SECRET = "a secret for cookies of these tests"
OPEN = {"/healthz", "/api/enrol"}  # who enrols a camera has a one-time code instead
STREAMLIT = [
    "/", "/compress", "/index.html", "/_stcore/health", "/_stcore/script-health-check", "/_stcore/metrics",
    "/_stcore/host-config", "/_stcore/upload_file/session/file", "/media/x.png", "/component/x/y.js",
    "/_stcore/bidi-components/x/y.js", "/app/static/x.png", "/static/js/index.js", "/auth/logout",
    "/_stcore/interact", "/_stcore/schema", "/_stcore/mcp", "/mcp", "/docs", "/openapi.json",
]  # fmt: skip


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setattr("streamlit.web.server.server_util.get_cookie_secret", lambda: SECRET)


@pytest.fixture
def app(opened, monkeypatch) -> TestClient:
    """The app as it is served, not started: whoever is refused never gets that far."""
    # Streamlit allows one of its runtimes in a process, and never lets go of it.
    monkeypatch.setattr("streamlit.runtime.runtime.Runtime._instance", None)
    opened.settings = replace(opened.settings, host="0.0.0.0", token=TOKEN)
    return TestClient(build_app(opened), base_url=HERE, follow_redirects=False)


def signed(user: dict, secret: str = SECRET) -> dict[str, str]:
    value = create_signed_value(secret, "_streamlit_user", json.dumps(user)).decode()
    return {"_streamlit_user": value}


def person(**changes: object) -> dict:
    return {
        "email": "ada@lab.example",
        "email_verified": True,
        "is_logged_in": True,
        "origin": HERE,
    } | changes


def our_paths() -> list[tuple[str, bool]]:
    found = []
    for route in routes():
        assert isinstance(route, Route | WebSocketRoute), "a new sort of route: say here how it is tested"
        path = re.sub(r"{\w+}", "x", route.path)
        found.append((path, isinstance(route, WebSocketRoute)))
    return found


class TestEveryRoute:
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
    def test_nothing_is_served_without_the_token(self, app, method):
        for path in [path for path, socket in our_paths() if not socket and path not in OPEN] + STREAMLIT:
            answer = app.request(method, path)
            assert answer.status_code == 401, f"{method} {path}"
            assert TOKEN not in answer.text

    @pytest.mark.parametrize("path", [*(path for path, socket in our_paths() if socket), "/_stcore/stream"])
    def test_no_socket_is_opened_without_the_token(self, app, path):
        with (
            pytest.raises(WebSocketDisconnect),
            app.websocket_connect(f"ws://studio.example:8501{path}"),
        ):
            pass

    @pytest.mark.parametrize(
        "path", ["//healthz", "/healthz/../metrics", "/HEALTHZ", "/healthz%2f..%2fmetrics"]
    )
    def test_the_open_path_opens_nothing_else(self, app, path):
        assert app.get(path).status_code == 401

    def test_every_answer_has_the_headers(self, app):
        for path in ["/", "/metrics", "/api/live/cam1.jpg"]:
            headers = app.get(path).headers
            assert {name: headers[name] for name in HEADERS} == HEADERS
        assert "frame-ancestors 'self'" in HEADERS["Content-Security-Policy"]


class TestSignIn:
    def _client(self, allowed: str, token: str = "") -> TestClient:
        check = Middleware(TokenMiddleware, token=token, cookie="slimcast", sign_in=SignIn(allowed))
        app = Starlette(routes=routes(), middleware=[check])
        return TestClient(app, base_url=HERE, follow_redirects=False)

    @pytest.fixture(autouse=True)
    def _provider(self, secret, monkeypatch):
        monkeypatch.setattr(SignIn, "login_url", lambda _self: '/auth/login?provider="x"')

    @pytest.mark.parametrize(
        "allowed", ["ada@lab.example", "@lab.example", "*", " bob@x.y , ADA@lab.example "]
    )
    def test_who_is_named_comes_in(self, opened, allowed):
        client = self._client(allowed)
        client.cookies.update(signed(person()))
        assert client.get("/metrics").status_code == 200

    @pytest.mark.parametrize(
        ("user", "secret_used"),
        [
            (person(email="eve@other.example"), SECRET),
            (person(email="ada@lab.example.evil.example"), SECRET),
            (person(email="@lab.example@evil.example"), SECRET),
            (person(email=None), SECRET),
            (person(is_logged_in=False), SECRET),
            (person(email_verified=False), SECRET),
            (person(), "another secret"),
            ([], SECRET),
        ],
    )
    def test_others_do_not(self, opened, user, secret_used):
        client = self._client("ada@lab.example,@lab.example")
        client.cookies.update(signed(user, secret_used))
        answer = client.get("/metrics")
        assert answer.status_code == 401
        assert 'href="/auth/login?provider=&quot;x&quot;"' in answer.text

    @pytest.mark.parametrize(
        "value", ["", "x", "ünïcode".encode().decode("latin-1"), "a|b|c", "chunks-99999"]
    )
    def test_rubbish_in_the_cookie_is_nobody(self, value):
        assert not SignIn("*").knows({"_streamlit_user": value})

    def test_sockets_ask_as_well(self, opened):
        client = self._client("*")
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("ws://studio.example:8501/api/live"),
        ):
            pass
        client.cookies.update(signed(person()))
        with client.websocket_connect("ws://studio.example:8501/api/live") as socket:
            assert socket.receive_json() == {"devices": []}

    def test_programs_go_on_with_the_token_and_an_empty_one_is_none(self, opened):
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert self._client("@lab.example", TOKEN).get("/metrics", headers=bearer).status_code == 200
        assert (
            self._client("@lab.example").get("/metrics", headers={"Authorization": "Bearer "}).status_code
            == 401
        )
        assert self._client("@lab.example").get("/metrics", params={"token": ""}).status_code == 401

    def test_the_way_to_the_provider_is_open_and_nothing_else(self, opened):
        client = self._client("@lab.example")
        assert {path: client.get(path).status_code for path in module.OPEN_PATHS} == dict.fromkeys(
            module.OPEN_PATHS, 404
        )  # let through; here nobody serves them
        assert client.get("/auth/login/x").status_code == 401

    def test_without_a_provider_it_does_not_start(self, monkeypatch):
        monkeypatch.setattr("streamlit.auth_util.get_secrets_auth_section", dict)
        with pytest.raises(SettingsError, match="redirect_uri"):
            SignIn("*").check_settings()
