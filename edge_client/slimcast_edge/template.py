"""A settings file that explains every setting."""

import json
import textwrap
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from slimcast_edge.camera import CAMERAS
from slimcast_edge.settings import PREFIX, EdgeSettings


def render(camera: str) -> str:
    """Return a TOML file with all settings; defaults are commented out.

    Raises:
        UnknownKind: there is no such kind of camera.

    """
    entry = CAMERAS[camera]
    lines = [
        "# Settings of a Slimcast camera. What is commented out shows the default.",
        f"# Every setting can also come from the environment, such as {PREFIX}DEVICE or {PREFIX}CAMERA__FPS.",
        "",
    ]
    for name, field in EdgeSettings.model_fields.items():
        if name != "camera":
            lines += [*_explained(name, field), ""]
    lines += ["[camera]", f"# {entry.title}. Kinds: {', '.join(CAMERAS.names())}.", f'kind = "{camera}"']
    for name, field in entry.settings_type().model_fields.items():
        lines += ["", *_explained(name, field)]
    return "\n".join(lines) + "\n"


def _explained(name: str, field: FieldInfo) -> list[str]:
    comments = [f"# {line}" for line in textwrap.wrap(field.description or "", 100)]
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
