"""Which model a process starts with, after whatever has happened to the one before."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from slimcast_edge.artifact_file import check_file
from slimcast_edge.deploy.download import hash_file
from slimcast_edge.deploy.state import Deployment, ModelEntry, StateFolder, sync_folder
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure
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
        folder.save(now)
    elif not now.state.is_settled():
        logger.info("The last process ended while revision %d was %s; going on.", now.revision, now.state)
    return now


def adopt(folder: StateFolder, now: Deployment, model: Path) -> Deployment:
    """Make a model that the settings name the active one, where there is none yet.

    Raises:
        ArtifactError: it is refused.

    """
    info = check_file(model)
    entry = ModelEntry(sha256=hash_file(model), name=info.name)
    target = folder.model_path(entry.sha256)
    draft = target.with_suffix(".new")
    shutil.copyfile(model, draft)
    draft.replace(target)
    sync_folder(target.parent)
    now = now.model_copy(update={"active": entry, "state": DeviceState.ACTIVE})
    folder.save(now)
    return now


def open_first(
    folder: StateFolder, now: Deployment, open_model: Callable[[Path, ModelEntry], T]
) -> tuple[Deployment, T | None]:
    """Open the active model, or the previous one where that fails; return the new state and the model."""
    while now.active is not None:
        try:
            return now, open_model(folder.model_path(now.active.sha256), now.active)
        except (ArtifactError, RuntimeFailure) as error:
            message = f"The model {now.active.name!r} on this device cannot be opened: {error}"
            logger.error("%s", message)
            now = now.rolled_back(Refusal.LOADER_FAILED, message)
            folder.save(now)
    return now, None
