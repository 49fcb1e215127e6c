"""What a Mosquitto needs to serve one site safely: configuration, rights, passwords, certificates."""

from slimcast.fleet.mosquitto.config import (
    HOME_ASSISTANT,
    STUDIO,
    BrokerPlan,
    render_acl,
    render_config,
)
from slimcast.fleet.mosquitto.folder import Admission, BrokerFolder, write_folder

__all__ = [
    "HOME_ASSISTANT",
    "STUDIO",
    "Admission",
    "BrokerFolder",
    "BrokerPlan",
    "render_acl",
    "render_config",
    "write_folder",
]
