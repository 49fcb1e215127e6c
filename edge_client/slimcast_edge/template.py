"""A settings file that explains every setting."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from slimcast_edge.camera import CAMERAS
from slimcast_edge.settings import PREFIX, EdgeSettings, parse_settings

_SEVERAL = [
    "",
    "# Several cameras on this device: in place of [camera], a table [cameras.NAME] for each, such as",
    "# [cameras.left] and [cameras.right]; in each of them, kind and the settings of that kind.",
]


def render(camera: str, chosen: Mapping[str, str] | None = None) -> str:
    """Return a TOML file with all settings; what was not chosen is commented out and shows the default.

    Raises:
        UnknownKind: there is no such kind of camera.
        SettingsError: what was chosen is wrong.

    """
    entry = CAMERAS[camera]
    if chosen:
        parse_settings(dict(chosen), source="what was chosen")
    lines = [
        "# Settings of a Slimcast camera. What is commented out shows the default.",
        f"# Every setting can also come from the environment, such as {PREFIX}DEVICE or {PREFIX}CAMERA__FPS.",
        "",
    ]
    for name, field in EdgeSettings.model_fields.items():
        if name not in {"camera", "cameras"}:
            value = _chosen(name, chosen or {})
            lines += [*_explained(name, field, value), ""]
    lines += ["[camera]", f"# {entry.title}. Kinds: {', '.join(CAMERAS.names())}.", f'kind = "{camera}"']
    for name, field in entry.settings_type().model_fields.items():
        lines += ["", *_explained(name, field)]
    lines += _SEVERAL
    return "\n".join(lines) + "\n"


def _chosen(name: str, chosen: Mapping[str, str]) -> str | None:
    """Return a chosen value as TOML; None where it was not chosen."""
    if name not in chosen:
        return None
    value = getattr(parse_settings({name: chosen[name]}), name)
    return json.dumps(value if isinstance(value, bool | int | float) else str(value))


def _explained(name: str, field: FieldInfo, chosen: str | None = None) -> list[str]:
    comments = [f"# {line}" for line in textwrap.wrap(field.description or "", 100)]
    if chosen is not None:
        return [*comments, f"{name} = {chosen}"]
    if field.is_required():
        return [*comments, f'{name} = ""  # required']
    return [*comments, f"# {name} = {_toml(field)}"]


def _toml(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=False)
    if field.default_factory is not None:
        value = field.default_factory()  # type: ignore[call-arg]
    if value is None or value is PydanticUndefined:
        return "  (none)"
    # JSON's texts, numbers and booleans are TOML's.
    return json.dumps(value if isinstance(value, bool | int | float) else str(value))
