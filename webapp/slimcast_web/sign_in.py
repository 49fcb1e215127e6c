"""Signing in with an identity provider (OpenID Connect), through Streamlit's own login routes.

Streamlit reads the provider from the ``[auth]`` section of its secrets.toml and keeps who has signed in in a
cookie that it signs. Its pages alone would ask for it; here the middleware does, before anything is served.
"""

import json
from collections.abc import Mapping

from slimcast_edge.errors import SettingsError

OPEN_PATHS = frozenset({"/auth/login", "/oauth2callback"})
"""What must work before somebody has signed in."""

EVERYBODY = "*"


class SignIn:
    """Says who may come in.

    Attributes:
        allowed: e-mail addresses, domains with an ``@`` in front, or ``*`` for whoever the provider knows.
    """

    def __init__(self, allowed_users: str) -> None:
        self.allowed = frozenset(word.strip().lower() for word in allowed_users.split(",") if word.strip())

    def check_settings(self) -> None:
        """Make sure that there is a provider, and what talks to it.

        Raises:
            SettingsError: something is missing; says what.
        """
        from streamlit.auth_util import get_secrets_auth_section, is_authlib_installed

        if not get_secrets_auth_section():
            raise SettingsError(
                "SLIMCAST_ALLOWED_USERS is set, but no identity provider: add an [auth] section to "
                "~/.streamlit/secrets.toml, with redirect_uri, cookie_secret, client_id, client_secret and "
                "server_metadata_url."
            )
        if not is_authlib_installed():
            raise SettingsError(
                'Signing in with an identity provider needs Authlib: pip install "slimcast[oidc]"'
            )

    def knows(self, cookies: Mapping[str, str]) -> bool:
        """Return whether the cookies are of somebody who has signed in and is allowed."""
        user = _user(cookies)
        email = str(user.get("email") or "").lower()
        if not user.get("is_logged_in") or user.get("email_verified") is False:
            return False
        domain = f"@{email.rpartition('@')[2]}"
        return EVERYBODY in self.allowed or ("@" in email and bool({email, domain} & self.allowed))

    def login_url(self) -> str:
        """Return where the browser goes to sign in."""
        from streamlit.auth_util import get_secrets_auth_section
        from streamlit.user_info import generate_login_redirect_url

        section = get_secrets_auth_section()
        named = [name for name, value in section.to_dict().items() if isinstance(value, dict)]
        return generate_login_redirect_url(named[0] if named and "client_id" not in section else "default")


def _user(cookies: Mapping[str, str]) -> dict[str, object]:
    """Return what Streamlit has noted of the user; nothing where its signature is not right."""
    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.server_util import get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    def one(name: str) -> bytes | None:
        value = cookies.get(name)
        try:
            return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1")) if value else None
        except UnicodeEncodeError:
            return None

    try:
        user = json.loads(get_cookie_with_chunks(one, USER_COOKIE_NAME) or b"{}")
    except ValueError:
        return {}
    return user if isinstance(user, dict) else {}
