"""amqtt's broker, made to ask for the password before a client takes over a session of its id.

By itself amqtt ends the session that has the id, or writes the newcomer's name and password into it, and
only then looks whether the newcomer may come in at all: without a password anybody on this machine could
throw out a camera that has one.
"""

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.errors import AMQTTError, MQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session


class GuardedBroker(Broker):
    """A broker at which nobody loses a session to somebody who may not have it."""

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        again = _ReadAgain(reader)
        try:
            _, session = await BrokerProtocolHandler.init_from_connect(again, writer, self.plugins_manager)
        except MQTTError:
            await writer.close()
            raise
        listener = next(iter(self.listeners_config.values()))
        if session.client_id in self.sessions and not await self._authenticate(session, listener):
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            await writer.close()
            raise AMQTTError(f"{session.client_id} is connected, and whoever came now may not be it.")
        again.rewind()
        made: tuple[BrokerProtocolHandler, Session] = await super()._initialize_client_session(
            again, writer, remote_address, remote_port
        )
        return made


class _ReadAgain(ReaderAdapter):
    """Gives what was read once more, then what comes next."""

    def __init__(self, reader: ReaderAdapter) -> None:
        self._reader = reader
        self._kept = bytearray()
        self._again = b""

    def rewind(self) -> None:
        """Let the next reads begin with what was read so far."""
        self._again = bytes(self._kept)

    async def read(self, n: int = -1) -> bytes:
        """Read n bytes, of those that were read before as long as there are any."""
        if self._again:
            part = self._again[: n if n >= 0 else None]
            self._again = self._again[len(part) :]
            return part
        part = await self._reader.read(n)
        self._kept += part
        return part

    def feed_eof(self) -> None:
        """Note that nothing more will come."""
        self._reader.feed_eof()
