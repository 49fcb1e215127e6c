"""Who may connect to the embedded broker: everybody on this machine, but nobody under another's name.

A name that stands in the password file has to be proved with its password, whether it comes as a user name or
in the client id of a device. Who is barred there has none.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from slimcast.errors import FleetError
from slimcast.passwords import PasswordFile, matches

_log = logging.getLogger(__name__)


class Doorkeeper(BaseAuthPlugin):
    """amqtt's plugin, named in the broker's configuration."""

    @dataclass
    class Config:
        """`users`: the password file. `id_prefix`: what comes before a device's name in its client id."""

        users: str = ""
        id_prefix: str = ""

    async def authenticate(self, *, session: Session) -> bool:
        """Return whether a session may be."""
        # Without this amqtt would keep messages for clients that have left, without any bound.
        session.is_anonymous = True
        try:
            marks = PasswordFile(Path(self.config.users)).marks()
        except FleetError as error:
            _log.error("%s Nobody is let in.", error)
            return False
        return await asyncio.to_thread(may_enter, session, marks, self.config.id_prefix)


def may_enter(session: Session, marks: Mapping[str, str], id_prefix: str) -> bool:
    """Return whether a session proves every name that it uses, as far as `marks` knows of it."""
    named = session.client_id or ""
    names = {session.username or "", named.removeprefix(id_prefix) if named.startswith(id_prefix) else ""}
    return all(matches(marks[name], session.password or "") for name in names if name in marks)
