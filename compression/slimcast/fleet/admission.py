"""Who comes in at the studio's broker: users of the embedded one, or of a Mosquitto whose folder is known."""

from pathlib import Path

from slimcast.errors import FleetError
from slimcast.fleet.mosquitto import Admission, BrokerFolder
from slimcast.passwords import PasswordFile
from slimcast.settings import Settings


class EmbeddedUsers:
    """Names that have to be proved at the embedded broker; all others need no password there.

    Its process looks at the file at each connection, and throws out whoever is barred in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def admit(self, device: str) -> Admission:
        """Give a device a new password, without which nobody connects under its name any more.

        Raises:
            FleetError: the name cannot be one, or the file cannot be written.
        """
        return Admission(user=device, password=self._passwords().give(device))

    def expel(self, device: str) -> bool:
        """Let nobody connect under a device's name, with any password or without one; return True.

        Raises:
            FleetError: the name cannot be one, or the file cannot be written.
        """
        self._passwords().bar(device)
        return True

    def _passwords(self) -> PasswordFile:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise FleetError(
                f"The embedded broker's users cannot be kept in {self.path}: {error}."
            ) from error
        return PasswordFile(self.path)


def embedded_users(settings: Settings) -> EmbeddedUsers:
    """Return the users of the embedded broker."""
    return EmbeddedUsers(settings.home / "broker" / settings.site / "passwords")


def broker_users(settings: Settings) -> EmbeddedUsers | BrokerFolder | None:
    """Return who comes in at the studio's broker; None where that is somebody else's business."""
    if not settings.broker_url:
        return embedded_users(settings)
    return BrokerFolder(settings.broker_folder) if settings.broker_folder is not None else None
