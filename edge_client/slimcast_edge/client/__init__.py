"""The running client: camera, model, stream and deployment in one process."""

from slimcast_edge.client.client import Client

__all__ = ["Client"]
