"""A real Mosquitto as `slimcast broker-config` sets it up: TLS, users, rights."""

import os
from pathlib import Path, PurePosixPath

from slimcast.fleet.mosquitto import BrokerFolder, BrokerPlan, write_folder
from slimcast.ports import free_port
from slimcast.settings import Settings
from slimcast_edge.mqtt import BrokerAccess, BrokerAddress
from support_mosquitto import Mosquitto


class SecureMosquitto(Mosquitto):
    """The broker of a folder; everything else about it is Mosquitto's own."""

    def __init__(self, folder: Path, *, hosts: tuple[str, ...] = ("127.0.0.1",), **plan) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder, free_port())
        chosen = {"site": "lab", "folder": PurePosixPath(folder), "port": self.port}
        self.folder: BrokerFolder = write_folder(
            folder, BrokerPlan(**(chosen | {"persistence": f"{folder}/"} | plan)), hosts
        )
        self.url = f"{'mqtts' if plan.get('tls', True) else 'mqtt'}://127.0.0.1:{self.port}"
        # Pytest's folders belong to whoever runs the tests alone.
        with (folder / "mosquitto.conf").open("a") as config:
            config.write("user root\n" if os.getuid() == 0 else "")

    @property
    def ca_file(self) -> Path:
        return self.folder.folder / "ca.pem"

    def address(self, user: str, password: str) -> BrokerAddress:
        return BrokerAccess(user=user, password=password, ca_file=self.ca_file).address(self.url)

    @property
    def studio(self) -> BrokerAddress:
        password_file = self.folder.folder / "studio-password"
        return BrokerAccess(user="studio", password_file=password_file, ca_file=self.ca_file).address(
            self.url
        )

    def settings(self, home: Path, **more: str) -> Settings:
        """Return the settings that the folder's ``studio.env`` gives to a studio."""
        text = (self.folder.folder / "studio.env").read_text()
        environment = dict(line.split("=", 1) for line in text.splitlines())
        return Settings.from_environment(environment | {"SLIMCAST_HOME": str(home)} | more)
