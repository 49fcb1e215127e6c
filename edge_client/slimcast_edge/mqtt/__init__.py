"""The connection to the broker, for cameras and for the studio alike."""

from slimcast_edge.broker_address import BrokerAccess, BrokerAddress, parse_url
from slimcast_edge.mqtt.connection import Connection

__all__ = ["BrokerAccess", "BrokerAddress", "Connection", "parse_url"]
