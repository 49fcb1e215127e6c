"""How this studio is set up: where things are, what says so, what is stored, which versions run."""

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from slimcast.fleet.keys import studio_key
from slimcast_edge.signing import fingerprint
from slimcast_web.services.studio import Studio

PACKAGES = (
    "slimcast",
    "torch",
    "torchvision",
    "onnx",
    "onnxruntime",
    "streamlit",
    "optuna",
    "paho-mqtt",
    "amqtt",
)
_MOST_FILES = 500_000
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A setting: what it is, its value without any password, and the variable that changes it."""

    title: str
    value: str
    variable: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a folder holds. `files` may stop at a limit, which `complete` says."""

    title: str
    place: str
    size_bytes: int
    files: int
    complete: bool = True


def places(studio: Studio) -> list[Place]:
    """Return every setting of the studio but its token."""
    settings = studio.settings
    return [
        Place(
            title="MQTT broker",
            value=masked(settings.effective_broker_url),
            variable="SLIMCAST_BROKER_URL",
        ),
        Place(title="Site", value=settings.site, variable="SLIMCAST_SITE"),
        Place(title="Home", value=str(settings.home), variable="SLIMCAST_HOME"),
        Place(title="Data sets", value=str(settings.data_root), variable="SLIMCAST_DATA_ROOT"),
        Place(title="Weights", value=str(settings.weights_root), variable="SLIMCAST_WEIGHTS_ROOT"),
        Place(title="Database", value=masked(settings.database_url), variable="SLIMCAST_DATABASE_URL"),
        Place(title="Artifacts", value=masked(settings.artifact_url), variable="SLIMCAST_ARTIFACT_URL"),
        Place(
            title="Dask scheduler",
            value=settings.dask_scheduler or "embedded",
            variable="SLIMCAST_DASK_SCHEDULER",
        ),
        Place(
            title="Address",
            value=f"{settings.host}:{settings.port}",
            variable="SLIMCAST_HOST, SLIMCAST_PORT",
        ),
    ]


def broker_note(studio: Studio) -> str:
    """Return how the broker stands, and who can reach it."""
    answers = "connected" if studio.hub.connected else "does not answer; the studio keeps trying"
    own = (
        "" if studio.settings.broker_url else "; the studio's own, which takes no other machine's connections"
    )
    return answers + own


def key_fingerprint(studio: Studio) -> str:
    """Return the fingerprint of the key that signs what is published.

    Raises:
        FleetError: the key's file is damaged, or cannot be read or written.
    """
    return fingerprint(studio_key(studio.settings).public_key())


def masked(url: str) -> str:
    """Return an address without the password in it."""
    return _PASSWORD.sub(r"\1:***@", url)


def masked_token(token: str) -> str:
    """Return a token of which only the last characters can be read; short ones not at all."""
    return "•" * 12 + (token[-4:] if len(token) >= 16 else "")


def versions() -> dict[str, str]:
    """Return the versions of Python and of what decides about figures; nothing is imported for it."""
    found = {"Python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def storage(studio: Studio) -> list[Stored]:
    """Count what is stored, folder by folder; takes as long as the disk does."""
    settings = studio.settings
    folders = {
        "Logs": settings.logs_folder,
        "Data sets": settings.data_root,
        "Weights": settings.weights_root,
    }
    address = urlsplit(settings.artifact_url)
    if address.scheme in {"", "file"}:
        folders = {"Artifacts": Path(address.path)} | folders
    found = [_count(title, folder) for title, folder in folders.items()]
    database = settings.database_url.removeprefix("sqlite:///")
    if database != settings.database_url:
        found.insert(0, _file("Database", Path(database)))
    return found


def _file(title: str, path: Path) -> Stored:
    files = [part for part in (path, path.with_name(path.name + "-wal")) if part.is_file()]
    return Stored(
        title=title, place=str(path), size_bytes=sum(f.stat().st_size for f in files), files=len(files)
    )


def _count(title: str, folder: Path) -> Stored:
    size = files = 0
    for each in _files(folder):
        size, files = size + each, files + 1
        if files == _MOST_FILES:
            break
    return Stored(title=title, place=str(folder), size_bytes=size, files=files, complete=files < _MOST_FILES)


def _files(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield Path(place, name).lstat().st_size
            except OSError:
                continue  # it has gone meanwhile
