"""Commands that wait for their reply."""

import secrets
from queue import Empty, SimpleQueue

from slimcast_edge.wire import Reply


class Replies:
    """Replies by command id; what nobody waits for is ignored."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, SimpleQueue[Reply]]] = {}

    def expect(self, device: str) -> str:
        """Return the id of a new command to a device, whose reply can be waited for from now on."""
        command_id = secrets.token_hex(8)
        self._waiting[command_id] = (device, SimpleQueue())
        return command_id

    def wait(self, command_id: str, timeout_s: float) -> Reply | None:
        """Return the reply, None when none came in time."""
        try:
            return self._waiting[command_id][1].get(timeout=timeout_s)
        except Empty:
            return None

    def forget(self, command_id: str) -> None:
        """Wait no longer."""
        self._waiting.pop(command_id, None)

    def arrived(self, device: str, command_id: str, reply: Reply) -> None:
        """Hand a reply to who waits for it, if it comes from the device that was asked."""
        asked, answer = self._waiting.get(command_id, ("", None))
        if answer is not None and asked == device and reply.id == command_id:
            answer.put(reply)
