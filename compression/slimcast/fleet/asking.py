"""Commands to devices, each with its reply."""

from typing import Any

from slimcast.errors import FleetError
from slimcast.fleet.board import Board, last_heard
from slimcast.fleet.line import Line
from slimcast.fleet.replies import Replies
from slimcast_edge import wire
from slimcast_edge.wire import topic

COMMANDS = tuple(
    name.removeprefix("cmd/") for name, info in wire.TOPICS.items() if info.payload is wire.Command
)


class Asking:
    """Sends a command and waits. Thread-safe."""

    def __init__(self, site: str, line: Line, board: Board, replies: Replies) -> None:
        self._site, self._line, self._board, self._replies = site, line, board, replies

    def command(self, device: str, name: str, args: dict[str, Any], timeout_s: float) -> wire.Reply:
        """Send a command and return its reply, which may say that it failed.

        Raises:
            FleetError: the broker is away, the device or the command is unknown, or no reply came in time.
        """
        if name not in COMMANDS:
            raise FleetError(f"There is no command {name[:80]!r}. Known: {', '.join(COMMANDS)}.")
        self._line.check()
        target = self._board.get(device)
        command_id = self._replies.expect(target.name)
        try:
            payload = wire.Command(id=command_id, args=args).encode()
            self._line.send(topic(self._site, target.name, f"cmd/{name}"), payload)
            reply = self._replies.wait(command_id, timeout_s)
        finally:
            self._replies.forget(command_id)
        if reply is None:
            now = last_heard(self._board.get(device))
            raise FleetError(f"{device} did not answer {name!r} within {timeout_s:g} s. {now}")
        return reply
