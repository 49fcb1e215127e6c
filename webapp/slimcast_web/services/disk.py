"""What deleted runs still hold on the disk, and letting go of it."""

import time

from slimcast.fleet.in_use import artifacts_in_use
from slimcast.store.freeing import Freeable
from slimcast_web.services import figures
from slimcast_web.services.studio import Studio

DAY_S = 86400.0


def look(studio: Studio, days: float) -> Freeable:
    """Return what can be freed of runs that were deleted at least so many days ago.

    Raises:
        SlimcastError: the store, or what devices are ordered to run, cannot be read.

    """
    return studio.store.freeing.look(time.time() - days * DAY_S, _in_use(studio))


def free(studio: Studio, days: float) -> Freeable:
    """Free it, and return what went.

    Raises:
        SlimcastError: a run is at work, or a file cannot be removed.

    """
    return studio.store.freeing.free(time.time() - days * DAY_S, _in_use(studio))


def summary(found: Freeable) -> str:
    """Return what can be freed, in sentences."""
    runs, files = figures.plural(len(found.runs), "deleted run"), figures.plural(len(found.files), "file")
    text = f"{runs}: {figures.size(found.size_bytes)} in {files} that nothing else uses."
    if found.shared:
        text += (
            f" {figures.plural(found.shared, 'file')} of theirs stay for other runs, devices or roll-outs."
        )
    if found.needed:
        text += f" Other recipes begin with {', '.join(found.needed)}, so these runs stay."
    return text


def _in_use(studio: Studio) -> set[str]:
    return artifacts_in_use(studio.settings, studio.hub.devices())
