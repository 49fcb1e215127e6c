"""Which model a process starts with, after whatever has happened to the one before."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from slimcast_edge.artifact_file import check_file
from slimcast_edge.deploy.download import hash_file
from slimcast_edge.deploy.state import Deployment, ModelEntry, StateFolder
from slimcast_edge.durable import sync_folder
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure, SettingsError
from slimcast_edge.wire import DeviceState

logger = logging.getLogger(__name__)

MAX_DEATHS = 2
"""So many processes may die while a model is in probation; then the model is to blame."""

T = TypeVar("T")


def begin(folder: StateFolder) -> Deployment:
    """Load the state, count a death in probation, and go back to the previous model at the second."""
    now = folder.load()
    if now.state is DeviceState.PROBATION and now.active is not None:
        deaths = now.deaths + int(now.running)
        if deaths >= MAX_DEATHS:
            message = f"The client died {deaths} times while {now.active.name!r} was in probation."
            logger.error("%s Going back to the model before.", message)
            now = now.rolled_back(Refusal.PROBATION_CRASHED, message)
        else:
            now = now.model_copy(update={"deaths": deaths, "running": True})
        _note(folder, now)
    elif not now.state.is_settled():
        logger.info("The last process ended while revision %d was %s; going on.", now.revision, now.state)
    return now


def adopt(folder: StateFolder, now: Deployment, model: Path) -> Deployment:
    """Make a model that the settings name the active one, where there is none yet.

    Raises:
        ArtifactError: it is refused.
        SettingsError: it cannot be copied into the state folder.

    """
    info = check_file(model)
    entry = ModelEntry(sha256=hash_file(model), name=info.name)
    target = folder.model_path(entry.sha256)
    draft = target.with_suffix(".new")
    now = now.model_copy(update={"active": entry, "state": DeviceState.ACTIVE})
    try:
        shutil.copyfile(model, draft)
        draft.replace(target)
        sync_folder(target.parent)
        folder.save(now)
    except OSError as error:
        raise SettingsError(
            f"The model {model} cannot be copied into {folder.folder}: {error.strerror or error}."
        ) from error
    return now


def open_first(
    folder: StateFolder, now: Deployment, open_model: Callable[[Path, ModelEntry], T]
) -> tuple[Deployment, T | None]:
    """Open the active model, or the previous one where that fails; return the new state and the model."""
    damaged = False
    while now.active is not None:
        try:
            return now, _open_whole(folder, now.active, open_model)
        except (ArtifactError, RuntimeFailure) as error:
            damaged |= isinstance(error, ArtifactError) and error.reason is Refusal.WRONG_HASH
            message = f"The model {now.active.name!r} on this device cannot be opened: {error}"
            logger.error("%s", message)
            now = now.rolled_back(Refusal.LOADER_FAILED, message)
            _note(folder, now)
    if damaged and now.order is not None and now.order.artifact is not None:
        # Nothing is left, and what was ordered was good before its file was lost: fetch it again.
        now = now.model_copy(update={"state": DeviceState.DOWNLOADING})
    return now, None


def _open_whole(folder: StateFolder, entry: ModelEntry, open_model: Callable[[Path, ModelEntry], T]) -> T:
    path = folder.model_path(entry.sha256)
    try:
        whole = hash_file(path) == entry.sha256
    except OSError as error:
        raise ArtifactError(Refusal.WRONG_HASH, f"Its file cannot be read: {error.strerror}.") from error
    if not whole:
        raise ArtifactError(Refusal.WRONG_HASH, "Its file is not what it was: the disk has damaged it.")
    return open_model(path, entry)


def _note(folder: StateFolder, now: Deployment) -> None:
    """Write the state if that can be done: a camera whose disk is full must classify all the same."""
    try:
        folder.save(now)
    except OSError as error:
        logger.error("The state cannot be written (%s); the camera starts all the same.", error)
