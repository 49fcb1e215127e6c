"""Cameras: where frames come from."""

from slimcast_edge.camera.catalog import CAMERAS, CameraInfo, open_camera
from slimcast_edge.camera.port import Camera, CameraSettings, Frame

__all__ = ["CAMERAS", "Camera", "CameraInfo", "CameraSettings", "Frame", "open_camera"]
