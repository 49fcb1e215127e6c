"""The kinds of camera there are. Adding one is one new file and one entry here."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from slimcast_edge.camera.port import Camera, CameraSettings
from slimcast_edge.registry import KindInfo, Registry


@dataclass(frozen=True, kw_only=True)
class CameraInfo(KindInfo):
    """A kind of camera. `impl` is called with its settings; `config` is the dotted place of their class.

    Attributes:
        reopens: whether one that fails is closed and opened again. If not, it is opened once for the life of
            the process, and read again.

    """

    config: str
    reopens: bool = True

    def settings_type(self) -> type[CameraSettings]:
        """Import and return the class of the settings."""
        module, _, attribute = self.config.partition(":")
        found: type[CameraSettings] = getattr(import_module(module), attribute)
        return found


CAMERAS: Registry[CameraInfo] = Registry(
    "camera",
    [
        CameraInfo(
            name="folder",
            title="Folder of images",
            description="Shows the images of a folder in turn, again and again; labels come from file names.",
            impl="slimcast_edge.camera.folder:FolderCamera",
            config="slimcast_edge.camera.folder:FolderSettings",
        ),
        CameraInfo(
            name="synthetic",
            title="Simulated camera",
            description="Draws labelled images onto camera-sized frames, so that the right answer is known.",
            impl="slimcast_edge.camera.synthetic:SyntheticCamera",
            config="slimcast_edge.camera.synthetic:SyntheticSettings",
        ),
        CameraInfo(
            name="video",
            title="Webcam, network stream or video file",
            description="Reads a USB webcam, an RTSP or HTTP stream, or a video file through OpenCV.",
            impl="slimcast_edge.camera.video:VideoCamera",
            config="slimcast_edge.camera.video:VideoSettings",
        ),
        CameraInfo(
            name="picamera2",
            title="Raspberry Pi camera",
            description="A camera module, through libcamera; scaled down by the Pi's own hardware.",
            impl="slimcast_edge.camera.pi:PiCamera",
            config="slimcast_edge.camera.pi:PiCameraSettings",
            reopens=False,
        ),
    ],
)


def open_camera(kind: str, settings: CameraSettings | None = None, **options: Any) -> Camera:
    """Open a camera of a kind, with its settings or with options that they are made from.

    Raises:
        UnknownKind: there is no such kind.
        CameraError: it cannot be opened.
        pydantic.ValidationError: the options are wrong.

    """
    entry = CAMERAS[kind]
    camera: Camera = entry.load()(settings or entry.settings_type().model_validate(options))
    return camera
