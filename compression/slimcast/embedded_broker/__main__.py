"""``python -m slimcast.embedded_broker PORT USERS ID_PREFIX``: see `doorkeeper` for the last two.

Prints ``ready`` once it listens, else one line that says why not. Ends when its standard input does, so it
never outlives the process that holds the other end, however that one dies.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from slimcast.embedded_broker import HOST, PORT_TAKEN
from slimcast.errors import FleetError
from slimcast.passwords import PasswordFile
from slimcast.ports import check_port

if TYPE_CHECKING:
    from amqtt.broker import Broker

LOOK_EVERY_S = 0.5
"""How often the password file is looked at: who loses a name there is thrown out."""
CLOSE_S = 1.0
"""How long a connection may take to close."""


def main(port: int, users: str, id_prefix: str) -> None:
    """Serve until standard input ends."""
    # Ctrl-C, and the SIGTERM of an init system, reach the whole group; the parent decides
    # when the broker goes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # amqtt warns of every client that goes away; only what breaks it is worth keeping.
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _check_port(port)
    asyncio.run(_serve(port, users, id_prefix))


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    # Nothing is on disk, and clients reconnect: there is nothing to wind down.
    os._exit(0)


def _check_port(port: int) -> None:
    """Leave with `PORT_TAKEN` when somebody listens there; amqtt would only log it."""
    try:
        check_port(HOST, port)
    except OSError as error:
        print(error.strerror, flush=True)
        sys.exit(PORT_TAKEN if error.errno == errno.EADDRINUSE else 1)


async def _serve(port: int, users: str, id_prefix: str) -> None:
    from slimcast.embedded_broker.guarded import GuardedBroker

    doorkeeper = {"users": users, "id_prefix": id_prefix}
    broker = GuardedBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {"slimcast.embedded_broker.doorkeeper.Doorkeeper": doorkeeper},
        }
    )
    await broker.start()
    print("ready", flush=True)
    await _watch(broker, Path(users), id_prefix)


async def _watch(broker: "Broker", users: Path, id_prefix: str) -> None:
    """Throw out, for ever, who is connected under a name that is not theirs any more."""
    seen, left = _changed_at(users), 0
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = _changed_at(users)
        if now == seen and not left:
            continue
        try:
            left = await _throw_out(broker, PasswordFile(users).marks(), id_prefix, insist=now == seen)
        except FleetError as error:
            logging.error("%s Who is connected stays so.", error)
        except Exception:  # amqtt's own; the broker must not end for it
            logging.exception("A client could not be thrown out; it is tried again.")
            left = 1
        else:
            seen = now


async def _throw_out(broker: "Broker", marks: Mapping[str, str], id_prefix: str, *, insist: bool) -> int:
    """End the sessions that may not be, and return how many there were: the next look finds who is left.

    With `insist` the connection is closed as well: amqtt ends a session only once all its tasks have stopped.
    """
    from slimcast.embedded_broker.doorkeeper import may_enter

    found = 0
    for session, handler in list(broker.sessions.values()):
        if not session.transitions.is_connected():
            continue
        if await asyncio.to_thread(may_enter, session, marks, id_prefix):
            continue
        found += 1
        session.will_flag = False  # what it would have said last is not wanted either
        await handler.handle_connection_closed()
        if insist and handler.writer is not None:
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(handler.writer.close(), CLOSE_S)
    return found


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:4])
