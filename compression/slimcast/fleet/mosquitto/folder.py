"""The folder of a broker: written once, completed or renewed when asked again, and used by the studio."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slimcast.errors import FleetError
from slimcast.fleet.mosquitto.certificates import (
    Issued,
    days_left,
    issue_client,
    issue_server,
    make_authority,
)
from slimcast.fleet.mosquitto.config import (
    HOME_ASSISTANT,
    STUDIO,
    BrokerPlan,
    denied,
    render_acl,
    render_config,
    with_denied,
)
from slimcast.passwords import PasswordFile
from slimcast_edge.durable import write_durably

RELOAD_S = 0.3
"""More than Mosquitto takes to read its files."""
RENEW_DAYS = 30
"""A certificate of the broker that ends sooner is renewed when the folder is written again."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """With what a device comes in: user and password, or a certificate and its key (PEM)."""

    user: str = ""
    password: str = field(default="", repr=False)
    certificate: str = ""
    private_key: str = field(default="", repr=False)


class BrokerFolder:
    """What `write_folder` has written, for those who use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passwords = PasswordFile(folder / "passwords")

    def admit(self, device: str) -> Admission:
        """Give a device a password that the broker knows, or a certificate where it asks for those.

        Raises:
            FleetError: the name is the studio's own or cannot be one, or a file cannot be read or changed.
        """
        _check_is_device(device)
        if self.passwords.path.exists():
            password = self.passwords.give(device)
            self._deny(lambda names: names - {device})
            self.reload()
            return Admission(user=device, password=password)
        if device in self.denied():
            raise FleetError(
                f"{device!r} was expelled, and its certificate is still valid: it would come in again with "
                "that name. Give the device another one."
            )
        certificate, key = self.client_certificate(device)
        return Admission(certificate=certificate.read_text(), private_key=key.read_text())

    def expel(self, device: str) -> bool:
        """Take a device's password and all its rights away; return whether the broker could be told.

        Raises:
            FleetError: the name is the studio's own, or a file cannot be changed.
        """
        _check_is_device(device)
        if self.passwords.path.exists():
            self.passwords.remove(device)
        self._deny(lambda names: names | {device})  # a connection that is open, or a certificate, has no use
        return self.reload()

    def denied(self) -> set[str]:
        """Return the devices that have been expelled."""
        return set(denied(self._acl()))

    def reload(self) -> bool:
        """Have the broker read its files again; return whether it could be told (same machine and user)."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / "run" / "mosquitto.pid").read_text())
            # The number may have gone to another process since.
            if Path(f"/proc/{pid}/comm").read_text().strip() == "mosquitto":
                self._wait_turn()
                os.kill(pid, signal.SIGHUP)
                return True
        return False

    def _wait_turn(self) -> None:
        """Leave time between two signals: Mosquitto forgets one that comes while it reads."""
        mark = self.folder / ".reloaded"
        if mark.exists():
            time.sleep(min(max(0.0, mark.stat().st_mtime + RELOAD_S - time.time()), RELOAD_S))
        mark.touch()

    def client_certificate(self, name: str) -> tuple[Path, Path]:
        """Make a certificate and key for a device (or the studio) in ``clients/``; return their paths.

        Raises:
            FleetError: there is no authority here, or the files cannot be written.
        """
        try:
            issued = issue_client(self._authority(), name)
            (self.folder / "clients").mkdir(exist_ok=True, mode=0o700)
            certificate = self.folder / "clients" / f"{name}.pem"
            key = self.folder / "clients" / f"{name}-key.pem"
            write_durably(certificate, issued.certificate, mode=0o644)
            write_durably(key, issued.key, mode=0o600)
        except OSError as error:
            raise FleetError(f"The certificate of {name!r} cannot be written: {error}.") from error
        return certificate, key

    def _deny(self, change: Callable[[set[str]], set[str]]) -> None:
        now = change(before := self.denied())
        if now != before:
            try:
                write_durably(self.folder / "acl", with_denied(self._acl(), now).encode(), mode=0o644)
            except OSError as error:
                raise FleetError(f"The broker's rights cannot be changed: {error}.") from error

    def _acl(self) -> str:
        path = self.folder / "acl"
        try:
            return path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise FleetError(f"The broker's rights {path} cannot be read: {error}.") from error

    def _authority(self) -> Issued:
        key = self.folder / "ca-key.pem"
        if not key.exists():
            raise FleetError(f"There is no authority in {self.folder}. Make one with: slimcast broker-config")
        return Issued(certificate=(self.folder / "ca.pem").read_bytes(), key=key.read_bytes())


def write_folder(folder: Path, plan: BrokerPlan, hosts: Sequence[str]) -> BrokerFolder:
    """Write or complete the folder of a broker. Passwords and certificates that still hold stay as they are.

    Args:
        folder: where to write.
        plan: what the broker is to be.
        hosts: names and addresses under which it is reached; the certificate is made for them.

    Raises:
        FleetError: it cannot be written, or a host is no name.
        WireError: the site cannot be one.
    """
    broker = BrokerFolder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if plan.reloadable:
            (folder / "run").mkdir(exist_ok=True)
            (folder / "run").chmod(0o1777)  # the broker writes its number there, under whatever user it runs
        write_durably(
            folder / "acl", with_denied(render_acl(plan.site), broker.denied()).encode(), mode=0o644
        )
        write_durably(folder / "mosquitto.conf", render_config(plan).encode(), mode=0o644)
        if plan.tls:
            _certify(folder, hosts)
        if plan.client_certificates:
            broker.client_certificate(STUDIO)
        elif not broker.passwords.path.exists():
            password = broker.passwords.give(STUDIO)
            write_durably(folder / "studio-password", f"{password}\n".encode(), mode=0o600)
        write_durably(folder / "studio.env", _environment(folder, plan, hosts).encode(), mode=0o644)
    except OSError as error:
        raise FleetError(f"The broker's folder {folder} cannot be written: {error}.") from error
    return broker


def _check_is_device(name: str) -> None:
    if name in {STUDIO, HOME_ASSISTANT}:
        raise FleetError(f"No device can be named {name!r}: it would have the {name}'s rights.")


def _certify(folder: Path, hosts: Sequence[str]) -> None:
    certificate, key = folder / "ca.pem", folder / "ca-key.pem"
    if not key.exists():
        authority = make_authority("Slimcast broker authority")
        write_durably(key, authority.key, mode=0o600)
        write_durably(certificate, authority.certificate, mode=0o644)
    server, made_for = folder / "server.pem", folder / "server-hosts"
    wanted = "\n".join(hosts) + "\n"
    holds = server.exists() and days_left(server.read_bytes()) > RENEW_DAYS
    if holds and made_for.exists() and made_for.read_text() == wanted:
        return
    issued = issue_server(Issued(certificate=certificate.read_bytes(), key=key.read_bytes()), hosts)
    write_durably(folder / "server-key.pem", issued.key, mode=0o640)
    write_durably(server, issued.certificate, mode=0o644)
    write_durably(made_for, wanted.encode(), mode=0o644)


def _environment(folder: Path, plan: BrokerPlan, hosts: Sequence[str]) -> str:
    scheme = "mqtts" if plan.tls else "mqtt"
    host = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    variables = {"BROKER_URL": f"{scheme}://{host}:{plan.port}", "SITE": plan.site}
    if plan.tls:
        variables["BROKER_CA_FILE"] = str(folder / "ca.pem")
    if plan.client_certificates:
        variables["BROKER_CERTIFICATE_FILE"] = str(folder / "clients" / f"{STUDIO}.pem")
        variables["BROKER_KEY_FILE"] = str(folder / "clients" / f"{STUDIO}-key.pem")
    else:
        variables["BROKER_USER"] = STUDIO
        variables["BROKER_PASSWORD_FILE"] = str(folder / "studio-password")
    variables["BROKER_FOLDER"] = str(folder)
    return "".join(f"SLIMCAST_{name}={value}\n" for name, value in variables.items())
