"""The windows there are. Adding one is one new file and one entry here."""

from slimcast_edge.preview.port import Window
from slimcast_edge.registry import KindInfo, Registry

WINDOWS: Registry[KindInfo] = Registry(
    "preview",
    [
        KindInfo(
            name="opencv",
            title="Window of OpenCV",
            description="Needs a desktop session and an OpenCV that is not headless.",
            impl="slimcast_edge.preview.opencv:OpenCvWindow",
        ),
        KindInfo(
            name="memory",
            title="No window",
            description="Keeps the newest picture in memory, for tests.",
            impl="slimcast_edge.preview.memory:MemoryWindow",
        ),
    ],
)


def open_window(name: str) -> Window:
    """Open a window.

    Raises:
        PreviewError: it cannot be opened here.
        UnknownKind: there is no such kind.

    """
    window: Window = WINDOWS[name].load()()
    return window
