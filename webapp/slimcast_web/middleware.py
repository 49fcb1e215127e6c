"""One check for pages, WebSockets and downloads: token or sign-in, and a WebSocket's origin."""

import hmac
import html
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from slimcast_edge.exchange import PATH as ENROLMENT_PATH
from slimcast_web.sign_in import OPEN_PATHS as SIGN_IN_PATHS
from slimcast_web.sign_in import SignIn

OPEN_PATHS = frozenset({"/healthz", ENROLMENT_PATH})
"""The latter answers only to who proves to know a one-time code."""
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE_SECONDS = 30 * 24 * 3600

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Slimcast: sign in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:18vh auto;padding:0 1rem;color:#12211f}
input,button{font:inherit;padding:.5rem .75rem;border-radius:8px;border:1px solid #8a9a9b}
button{background:#0f766e;color:#fff;border-color:#0f766e}label{display:block;margin-bottom:.5rem}</style>
"""
_SIGN_IN = f"""{_HEAD}<h1>This studio asks for its token</h1>
<p>Open the address that the studio printed when it started, or enter the token from it.</p>
<form method="get"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open Slimcast</button></form></html>"""
_PROVIDER = f"""{_HEAD}<h1>Sign in to Slimcast</h1>
<p>This studio lets in those whom its owner has named. If you have just signed in and see this again, ask the
owner to add your address.</p><p><a href="LOGIN">Sign in</a></p></html>"""


class TokenMiddleware:
    """Lets a request through that presents the token: as ``?token=``, in the cookie, or as a bearer.

    With `sign_in`, also one whose cookie says that an allowed person has signed in.

    Without a token (only on 127.0.0.1) it still refuses what a foreign web page could do to a local server:
    requests under another host name (DNS rebinding) and WebSockets from another origin.
    """

    def __init__(self, app: ASGIApp, *, token: str, cookie: str, sign_in: SignIn | None = None) -> None:
        self._app = app
        self._token = token.encode()
        self._cookie = cookie
        self._sign_in = sign_in
        self._open = OPEN_PATHS | (SIGN_IN_PATHS if sign_in else frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, redirect, or refuse."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        refusal = self._check(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def _check(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["type"] == "websocket" and not same_origin(headers):
            return PlainTextResponse("WebSocket from another origin.", status_code=403)
        if not self._token and self._sign_in is None:
            return None if _host_name(headers) in LOOPBACK_NAMES else _wrong_host(headers)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        from_query = dict(query).get("token")
        if from_query is not None and self._matches(from_query):
            if scope["type"] == "http" and not scope["path"].startswith("/api/"):
                return self._remember(scope, query)
            return None
        cookies = _cookies(headers)
        if self._matches(_bearer(headers)) or self._matches(cookies.get(self._cookie, "")):
            return None
        if self._sign_in is not None:
            return None if self._sign_in.knows(cookies) else self._ask(scope, self._sign_in)
        return HTMLResponse(_SIGN_IN, status_code=401, headers={"WWW-Authenticate": "Bearer"})

    def _ask(self, scope: Scope, sign_in: SignIn) -> Response:
        if scope["type"] == "websocket":
            return PlainTextResponse("Sign in first.", status_code=401)
        page = _PROVIDER.replace("LOGIN", html.escape(sign_in.login_url(), quote=True))
        return HTMLResponse(page, status_code=401)

    def _remember(self, scope: Scope, query: list[tuple[str, str]]) -> Response:
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        # A path that starts with two slashes would be another host to the browser.
        path = "/" + scope["path"].lstrip("/\\")
        response = RedirectResponse(path + (f"?{rest}" if rest else ""), status_code=303)
        response.set_cookie(
            self._cookie,
            self._token.decode(),
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
            secure=scope.get("scheme") == "https",
        )
        return response

    def _matches(self, presented: str) -> bool:
        return bool(self._token) and hmac.compare_digest(presented.encode("utf-8", "replace"), self._token)


def same_origin(headers: Headers) -> bool:
    """Return whether a WebSocket comes from our own page, or from a program (which sends no origin)."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def _host_name(headers: Headers) -> str:
    try:
        return (urlsplit(f"//{headers.get('host', '')}").hostname or "").lower()
    except ValueError:
        return ""


def _wrong_host(headers: Headers) -> Response:
    text = (
        f"This studio answers to 127.0.0.1 and localhost only, not to {_host_name(headers)[:100]!r}. "
        "To reach it under another name, set SLIMCAST_TOKEN and start it again."
    )
    return PlainTextResponse(text, status_code=403)


def _bearer(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def _cookies(headers: Headers) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}
