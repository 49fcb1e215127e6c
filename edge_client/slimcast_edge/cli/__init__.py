"""The command ``slimcast-edge``. A command of some size has its own file beside `entry`."""

from slimcast_edge.cli.entry import main

__all__ = ["main"]
