"""The cameras that the settings name: one, or several with a name each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from slimcast_edge.camera.catalog import CAMERAS, open_camera
from slimcast_edge.camera.port import Camera, CameraSettings
from slimcast_edge.errors import SettingsError
from slimcast_edge.mistakes import problems_in

ONLY = ""
"""The name of a camera that is the only one: it needs none, and nothing that it sends carries one."""


@dataclass(frozen=True, kw_only=True)
class ConfiguredCamera:
    """One camera of this device. `name`: empty for the only one; `settings`: typed by its kind."""

    name: str
    kind: str
    settings: CameraSettings

    @property
    def reopens(self) -> bool:
        """Whether it may be opened a second time in one process."""
        return CAMERAS[self.kind].reopens

    @property
    def fps(self) -> float | None:
        """Frames a second, where its kind has a setting for that; None or 0: no fixed rate."""
        fps: float | None = getattr(self.settings, "fps", None)
        return fps

    def open(self) -> Camera:
        """Open it.

        Raises:
            CameraError: it cannot be opened; `CameraAway` where it may come by itself.

        """
        return open_camera(self.kind, self.settings)


def configured(name: str, table: Mapping[str, Any]) -> ConfiguredCamera:
    """Return a camera from its table in the settings.

    Raises:
        SettingsError: there is no such kind.
        pydantic.ValidationError: a setting of its kind is wrong.

    """
    kind = table.get("kind")
    if kind is None:
        raise SettingsError(f"missing; one of: {', '.join(CAMERAS.names())}")
    if not isinstance(kind, str) or kind not in CAMERAS:
        raise SettingsError(f"unknown camera {kind!r}; known: {', '.join(CAMERAS.names())}")
    options = {key: value for key, value in table.items() if key != "kind"}
    settings = CAMERAS[kind].settings_type().model_validate(options)
    return ConfiguredCamera(name=name, kind=kind, settings=settings)


def problems_of(tables: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what is wrong with the tables of cameras: (where, what)."""
    found = []
    for name, table in tables.items():
        at = f"cameras.{name}" if name else "camera"
        try:
            configured(name, table)
        except SettingsError as error:
            found.append((f"{at}.kind", str(error)))
        except ValidationError as error:
            known = CAMERAS[str(table["kind"])].settings_type().model_fields
            found += [(f"{at}.{where}", what) for where, what in problems_in(error, ("kind", *known))]
    return found
