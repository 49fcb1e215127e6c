"""Reads the settings: a TOML file, the environment above it; checked once, all problems at once."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slimcast_edge.camera.configured import ONLY, problems_of
from slimcast_edge.errors import SettingsError
from slimcast_edge.mistakes import problems_in
from slimcast_edge.settings.fields import ENROLMENT_FILE, EdgeSettings, default_state_folder

PREFIX = "SLIMCAST_EDGE_"
_BROKER = "broker"


def load_settings(path: Path | None, environment: Mapping[str, str] | None = None) -> EdgeSettings:
    """Read the settings: what the studio gave at enrolment, the file above it, the environment above both.

    Where file or environment name a broker, nothing of the enrolled one counts: its password is not theirs.

    ``SLIMCAST_EDGE_CAMERA__FPS=10`` sets ``fps`` of the camera, and ``SLIMCAST_EDGE_CAMERAS__LEFT__FPS=10``
    that of the one named ``left``.

    Raises:
        SettingsError: with everything that is wrong.

    """
    document = _read_toml(path) if path is not None else {}
    _apply_environment(document, os.environ if environment is None else environment)
    document = _enrolled(document) | document
    return parse_settings(document, source=str(path) if path else "the environment")


def parse_settings(document: dict[str, Any], *, source: str = "the settings") -> EdgeSettings:
    """Check settings that have been read.

    Raises:
        SettingsError: with everything that is wrong.

    """
    problems: list[str] = []
    settings = None
    try:
        settings = EdgeSettings.model_validate(document)
    except ValidationError as error:
        found = problems_in(error, EdgeSettings.model_fields)
        problems += [f"{where or 'settings'}: {what}" for where, what in found]
    problems += _camera_problems(document)
    if problems or settings is None:
        raise SettingsError(f"Cannot use {source}:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def _camera_problems(document: Mapping[str, Any]) -> list[str]:
    if document.get("cameras") and "camera" in document:
        return ["camera: give either [camera], or [cameras.NAME] for each of several, not both"]
    only = {ONLY: document.get("camera", {"kind": "video"})}
    tables = document.get("cameras") or only
    if not isinstance(tables, dict):
        return []  # that it is no table was said already
    tables = {name: table for name, table in tables.items() if isinstance(table, dict)}
    return [f"{where}: {what}" for where, what in problems_of(tables)]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"There is no file {path}. Make one with: slimcast-edge init") from error
    except OSError as error:
        raise SettingsError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}. Texts stand in quotes.") from error


def _enrolled(document: Mapping[str, Any]) -> dict[str, Any]:
    folder = Path(str(document.get("state_folder") or default_state_folder())).expanduser()
    path = folder / ENROLMENT_FILE
    try:
        given = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise SettingsError(f"{folder} is no folder. Name another `state_folder`.") from error
    except PermissionError as error:
        raise SettingsError(
            f"Cannot read {path}: {error.strerror}. Run this as the client's user (sudo -u slimcast ...)."
        ) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"Cannot read {path}: {error}. Enrol the device anew.") from error
    if not isinstance(given, dict):
        raise SettingsError(f"{path} is damaged. Enrol the device anew.")
    own_broker = _BROKER in document
    return {name: value for name, value in given.items() if not (own_broker and name.startswith(_BROKER))}


def _apply_environment(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not name.startswith(PREFIX):
            continue
        part: Any = document
        *path, last = name[len(PREFIX) :].lower().split("__")
        for key in path:
            part = part.setdefault(_spelt(part, key), {}) if isinstance(part, dict) else None
        if isinstance(part, dict):
            part[_spelt(part, last)] = value


def _spelt(part: Mapping[str, Any], key: str) -> str:
    """Return a key as the file spells it: a variable's name tells no capitals."""
    return next((known for known in part if known.lower() == key), key)
