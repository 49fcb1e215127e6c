"""What a Mosquitto needs to serve one site safely: configuration, rights, passwords, certificates."""

from slimcast.fleet.mosquitto.config import BrokerPlan, render_acl, render_config
from slimcast.fleet.mosquitto.folder import BrokerFolder, write_folder

__all__ = ["BrokerFolder", "BrokerPlan", "render_acl", "render_config", "write_folder"]
