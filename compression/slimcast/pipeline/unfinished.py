"""Where a long step stands, kept after each of its iterations: a run that is killed need not begin it anew.

Kept below SLIMCAST_HOME and not in the artifact store, which forgets nothing: each iteration replaces the
last, and the end of the step removes it. A run that is resumed on another machine does not find it there, and
begins the step anew.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from torch import nn

from slimcast.errors import ModelError
from slimcast.models.state import load_state, save_state
from slimcast.pipeline.job import Job
from slimcast_edge.durable import write_whole

_FORMAT = 1
_STATE = "state.json"


class Unfinished:
    """The network and some facts of one step of a job; does nothing where the job has no cache folder."""

    def __init__(self, job: Job, index: int) -> None:
        self._job = job
        folder = job.cache_folder / "unfinished" / f"{job.run_id}-{index}" if job.cache_folder else None
        self._folder: Path | None = folder

    def save(self, model: nn.Module, facts: dict[str, Any]) -> None:
        """Keep a network and what else is needed to go on; what was kept before is gone."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        content = save_state(model, self._job.network)
        name = hashlib.sha256(content).hexdigest()
        write_whole(self._folder / name, content)
        # The facts name the network's file: only with them is it valid.
        document = {"format": _FORMAT, "recipe": self._job.recipe.hash, "network": name, "facts": facts}
        write_whole(self._folder / _STATE, json.dumps(document).encode())
        for file in self._folder.iterdir():
            if file.name not in {name, _STATE}:
                file.unlink(missing_ok=True)

    def load(self) -> tuple[nn.Module, dict[str, Any]] | None:
        """Return what was kept; None where there is nothing, or nothing whole of this recipe."""
        if self._folder is None:
            return None
        try:
            document = json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
            if document["format"] != _FORMAT or document["recipe"] != self._job.recipe.hash:
                return None
            model, network = load_state(self._folder / document["network"])
        except (OSError, ValueError, KeyError, TypeError, ModelError):
            return None  # it can be done again
        return (model, document["facts"]) if network == self._job.network else None

    def remove(self) -> None:
        """Forget it: the step is finished."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
