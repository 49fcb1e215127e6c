"""The studio's desk for new devices: one-time codes, and the answer to who proves to know one.

A code is a file in the studio's home: whoever makes it, page or command line, the web app answers. It lives
for minutes, is used once, and ends after five wrong proofs.
"""

import json
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slimcast.errors import EnrolmentRefused, FleetError
from slimcast.fleet.admission import broker_users
from slimcast.fleet.keys import studio_key
from slimcast.fleet.mosquitto import STUDIO
from slimcast.settings import Settings
from slimcast_edge.durable import write_durably
from slimcast_edge.errors import SettingsError, SignatureError, WireError
from slimcast_edge.exchange import MAX_REQUEST_BYTES, Code, Request, StudioSide, Welcome, new_code
from slimcast_edge.signing import public_key_to_text
from slimcast_edge.wire import Name, parse_topic, topic

LIFETIME_S = 600.0
MAX_TRIES = 5
MAX_OPEN = 100
ATTEMPTS_PER_MINUTE = 10
"""From one address; from all together ten times as many. A code is looked up only within these limits."""
_MAX_SOURCES = 1000


class Ticket(BaseModel):
    """A code that is open, as its file holds it."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(repr=False)
    device: Name
    expires_at: float
    tries_left: int = Field(ge=0, le=MAX_TRIES)


@dataclass(frozen=True, kw_only=True)
class NewCode:
    """What is shown to whoever asked for a code, once. `expires_at`: Unix time, s."""

    code: Code
    device: str
    expires_at: float

    def command(self, studio_url: str) -> str:
        """Return what to type on the device."""
        return f"slimcast-edge enroll --studio {studio_url.rstrip('/')} --code {self.code}"


class EnrolmentDesk:
    """Makes codes and answers requests.

    `clock` returns Unix time in seconds. `readmit` is told the name of each device that has enrolled.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        readmit: Callable[[str], object] = lambda _device: None,
    ) -> None:
        self._settings, self._clock, self._readmit = settings, clock, readmit
        self._folder = settings.home / "enrolment"
        self._attempts: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()
        self._lock = threading.Lock()

    def new_code(self, device: str) -> NewCode:
        """Make a code with which a device of this name can enrol; an older one for it ends.

        Raises:
            FleetError: no device can have that name, too many codes are open, or none can be written.
        """
        try:
            parse_topic(topic(self._settings.site, device, "status"))
        except WireError as error:
            raise FleetError(str(error)) from error
        if device == STUDIO:
            raise FleetError(f"No device can be named {STUDIO!r}: at the broker it would be the studio.")
        code = new_code()
        expires_at = self._clock() + LIFETIME_S
        ticket = Ticket(
            code=code.id + code.secret, device=device, expires_at=expires_at, tries_left=MAX_TRIES
        )
        with self._lock:
            self._make_room(device)
            self._write(code.id, ticket)
        return NewCode(code=code, device=device, expires_at=expires_at)

    def answer(self, data: bytes, source: str) -> bytes:
        """Return what to answer to a request from an address.

        Raises:
            EnrolmentRefused: too many requests, a malformed one, no such code, or a wrong proof.
            FleetError: the device knows the code, but the studio cannot say what it has to.
        """
        with self._lock:  # one at a time: each takes 32 MiB and a tenth of a second
            self._count(source)
            try:
                request = Request.model_validate_json(data[: MAX_REQUEST_BYTES + 1])
            except ValidationError as error:
                raise EnrolmentRefused(400, "This is no request for enrolment.") from error
            ticket = self._read(request.id)
            if ticket is None:
                raise EnrolmentRefused(403, "There is no such code, or it has ended. Ask for a new one.")
            # Counted before it is looked at, so that no way of ending this gives another try.
            left = ticket.tries_left - 1
            self._write(request.id, ticket.model_copy(update={"tries_left": left}))
            code = Code(ticket.code[: len(request.id)], ticket.code[len(request.id) :])
            side = StudioSide(code, request)
            if not side.is_genuine():
                if left == 0:
                    self._end(request.id)
                raise EnrolmentRefused(403, f"The code is wrong. Tries left: {left}.")
            try:
                answer = side.answer(self._welcome(ticket.device))
            except (SignatureError, SettingsError) as error:
                raise FleetError(str(error)) from error
            if not self._end(request.id):  # another process has just used it
                raise EnrolmentRefused(403, "This code has been used.")
            self._readmit(ticket.device)
            return answer

    def end_codes(self, device: str) -> None:
        """End the open codes for a device."""
        for path in self._folder.glob("*.json"):
            with suppress(FleetError):
                ticket = self._read(path.stem)
                if ticket is None or ticket.device == device:
                    self._end(path.stem)

    def _welcome(self, device: str) -> Welcome:
        settings = self._settings
        ca = settings.broker_access.ca_file if settings.broker_url else None
        try:
            trusted = ca.read_text() if ca is not None else ""
        except (OSError, UnicodeDecodeError) as error:
            raise FleetError(f"The broker's CA file {ca} cannot be read: {error}.") from error
        welcome = Welcome(
            site=settings.site,
            device=device,
            key=public_key_to_text(studio_key(settings).public_key()),
            broker=str(settings.broker_address()),
            ca=trusted,
            only_here=not settings.broker_url,
        )
        users = broker_users(settings)
        if users is None:
            return welcome
        admitted = users.admit(device)
        return welcome.model_copy(
            update={
                "user": admitted.user,
                "password": admitted.password,
                "certificate": admitted.certificate,
                "private_key": admitted.private_key,
            }
        )

    # --- limits

    def _count(self, source: str) -> None:
        now = self._clock()
        own = self._attempts.setdefault(source, deque())
        self._attempts.move_to_end(source)
        while len(self._attempts) > _MAX_SOURCES:
            self._attempts.popitem(last=False)
        for times, limit in ((own, ATTEMPTS_PER_MINUTE), (self._all, 10 * ATTEMPTS_PER_MINUTE)):
            while times and times[0] <= now - 60:
                times.popleft()
            if len(times) >= limit:
                raise EnrolmentRefused(429, "Too many tries. Wait a minute.")
        own.append(now)
        self._all.append(now)

    def _make_room(self, device: str) -> None:
        open_ids = {path.stem: self._read(path.stem) for path in self._folder.glob("*.json")}
        for code_id, ticket in open_ids.items():
            if ticket is None or ticket.device == device:
                self._end(code_id)
        if sum(ticket is not None for ticket in open_ids.values()) >= MAX_OPEN:
            raise FleetError(f"{MAX_OPEN} codes are open. Use them, or wait until they end.")

    # --- the files

    def _read(self, code_id: str) -> Ticket | None:
        """Return the ticket if it is still open."""
        try:
            ticket = Ticket.model_validate_json(self._path(code_id).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise FleetError(f"The code's file {self._path(code_id)} cannot be read: {error}.") from error
        return ticket if ticket.tries_left > 0 and ticket.expires_at > self._clock() else None

    def _write(self, code_id: str, ticket: Ticket) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(self._path(code_id), json.dumps(ticket.model_dump()).encode(), mode=0o600)
        except OSError as error:
            raise FleetError(f"The code could not be kept in {self._folder}: {error}.") from error

    def _end(self, code_id: str) -> bool:
        with suppress(OSError):
            self._path(code_id).unlink()
            return True
        return False

    def _path(self, code_id: str) -> Path:
        return self._folder / f"{code_id}.json"
