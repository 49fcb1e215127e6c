"""What survives a power cut: which model is active, which one was before, and what was going on.

The file is replaced as a whole, so a reader finds either the old state or the new one. A model's file is
complete before its name gets in here.
"""

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slimcast_edge.durable import write_durably
from slimcast_edge.errors import SettingsError
from slimcast_edge.settings.fields import ENGINES
from slimcast_edge.wire import Desired, DeviceState, Reported, Sha256

logger = logging.getLogger(__name__)


class ModelEntry(BaseModel):
    """A model on this device's disk."""

    model_config = ConfigDict(frozen=True)

    sha256: Sha256
    name: str = Field(max_length=200)


class Deployment(BaseModel):
    """The whole state.

    Attributes:
        revision: highest one accepted; never goes down.
        order: the order of that revision; its signature was checked when it was accepted.
        active: the model that classifies. previous: the one to go back to.
        older: during probation, the one before those two.
        running: whether a process is in probation just now; true at a start: one died in it.
        deaths: how many processes died in this probation.

    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    revision: int = Field(default=0, ge=0)
    order: Desired | None = None
    state: DeviceState = DeviceState.IDLE
    active: ModelEntry | None = None
    previous: ModelEntry | None = None
    older: ModelEntry | None = None
    running: bool = False
    deaths: int = Field(default=0, ge=0)
    reason: str = ""
    message: str = ""

    def rolled_back(self, reason: str, message: str) -> "Deployment":
        """Return the state with the previous model active again."""
        return self.model_copy(
            update={
                "state": DeviceState.ROLLED_BACK,
                "active": self.previous,
                "previous": self.older,
                "older": None,
                "running": False,
                "deaths": 0,
                "reason": reason,
                "message": message,
            }
        )

    def reported(self, session: str, at: float, progress: float = 0.0) -> Reported:
        """Return what the device tells about it."""
        return Reported(
            session=session,
            revision=self.revision,
            state=self.state,
            active=self.active.sha256 if self.active else None,
            active_name=self.active.name if self.active else "",
            previous=self.previous.sha256 if self.previous else None,
            previous_name=self.previous.name if self.previous else "",
            progress=progress,
            reason=self.reason,
            message=self.message[:600],
            at=at,
        )


class StateFolder:
    """The folder of the state file, the models and the unfinished downloads.

    Raises:
        SettingsError: the folder cannot be made or written.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "deployment.json"
        self._before = folder / "deployment.before.json"
        self._models = folder / "models"
        self._engines = folder / ENGINES
        self.downloads = folder / "downloads"
        try:
            for path in (self._models, self.downloads):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"Cannot use {folder} as the state folder: {error}.") from error

    def load(self) -> Deployment:
        """Return the state; where its file is damaged the one before, and a fresh one where there is none.

        The one before leads to the same end: each step looks at what is there already.
        """
        for path in (self._file, self._before):
            try:
                return Deployment.model_validate_json(path.read_bytes())
            except FileNotFoundError:
                continue
            except (OSError, ValidationError) as error:
                kept = path.with_suffix(".damaged")
                logger.error("The state file %s is damaged (%s); kept as %s.", path.name, error, kept.name)
                with contextlib.suppress(OSError):
                    path.replace(kept)
        return Deployment()

    def save(self, deployment: Deployment) -> None:
        """Write the state so that it is there after a power cut; the one before stays beside it.

        Raises:
            OSError: it cannot be written; the one on the disk stays as it was.

        """
        content = deployment.model_dump_json(indent=1).encode()
        with contextlib.suppress(OSError):  # a second copy is worth having, and worth no failure
            draft = self._before.with_suffix(".link")
            draft.unlink(missing_ok=True)
            os.link(self._file, draft)
            draft.replace(self._before)
        write_durably(self._file, content)

    def model_path(self, sha256: str) -> Path:
        """Return where a model lies, or would lie."""
        return self._models / f"{sha256}.onnx"

    def keep_only(self, entries: list[ModelEntry | None]) -> None:
        """Delete all models but these, and what was compiled for others."""
        kept = {entry.sha256 for entry in entries if entry}
        for path in self._models.iterdir():
            if path.stem not in kept:
                path.unlink(missing_ok=True)
        for path in self._engines.glob("*/"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
