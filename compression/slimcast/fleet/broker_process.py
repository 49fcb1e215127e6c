"""The embedded broker's process: ``python broker_process.py PORT``.

Prints ``ready`` once it listens, else one line that says why not. Ends when its standard input does, so it
never outlives the process that holds the other end, however that one dies.
"""

import asyncio
import errno
import logging
import os
import signal
import sys
import threading

from slimcast.ports import check_port

PORT_TAKEN = 98
HOST = "127.0.0.1"


def main(port: int) -> None:
    """Serve until standard input ends."""
    # Ctrl-C, and the SIGTERM of an init system, reach the whole group; the parent decides
    # when the broker goes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # amqtt warns of every client that goes away; only what breaks it is worth keeping.
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _check_port(port)
    asyncio.run(_serve(port))


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


async def _serve(port: int) -> None:
    from amqtt.broker import Broker

    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
