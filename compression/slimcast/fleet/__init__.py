"""The studio's side of the wire: broker, devices, chunk server, live frames, orders."""

from slimcast.fleet.broker import EmbeddedBroker
from slimcast.fleet.hub import FleetHub
from slimcast.fleet.keys import studio_key
from slimcast.fleet.records import Device, FramePacket

__all__ = ["Device", "EmbeddedBroker", "FleetHub", "FramePacket", "studio_key"]
