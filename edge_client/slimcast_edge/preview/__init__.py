"""Windows that show the camera's picture on a screen of the device itself."""

from slimcast_edge.preview.catalog import WINDOWS, open_window
from slimcast_edge.preview.port import Window

__all__ = ["WINDOWS", "Window", "open_window"]
