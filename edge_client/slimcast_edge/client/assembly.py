"""Makes the parts of the client that need its settings: deployment, measuring, keys, the first model."""

import logging
from typing import TYPE_CHECKING

from slimcast_edge.client.engine import Engine
from slimcast_edge.client.host import ClientHost
from slimcast_edge.deploy.port import DeployOptions
from slimcast_edge.deploy.startup import adopt, begin, open_first
from slimcast_edge.deploy.state import Deployment, StateFolder
from slimcast_edge.settings import EdgeSettings

if TYPE_CHECKING:
    from slimcast_edge.client.comparing import Comparing
    from slimcast_edge.deploy.machine import Machine
    from slimcast_edge.deploy.pinned import KeyRing
    from slimcast_edge.deploy.trial_process import TrialProcess
    from slimcast_edge.measuring.desk import Measuring
    from slimcast_edge.measuring.judge import Judge

logger = logging.getLogger(__name__)


def load_model(settings: EdgeSettings, folder: StateFolder, engine: Engine, host: ClientHost) -> Deployment:
    """Let the last model take over, or the one that the settings name; stream and look as last ordered.

    Raises:
        ArtifactError: the model that the settings name is refused.
        SettingsError: the state folder cannot be used.

    """
    now = begin(folder)
    if now.active is None and now.revision == 0 and settings.model is not None:
        now = adopt(folder, now, settings.model.expanduser())
    if now.order is not None:
        host.obey(now.order)
    now, loaded = open_first(folder, now, engine.open)
    engine.swap(loaded)
    if loaded is None:
        logger.info("There is no model on this device yet. Waiting for the studio to publish one.")
    return now


def make_machine(
    settings: EdgeSettings,
    session: str,
    folder: StateFolder,
    host: ClientHost,
    *,
    keys: "KeyRing",
    trial: "TrialProcess",
    deployment: Deployment,
) -> "Machine":
    """Return the deployment, not yet running."""
    from slimcast_edge.deploy.machine import Machine

    return Machine(
        folder=folder,
        host=host,
        trial=trial,
        identity=(settings.site, settings.device, session),
        keys=keys,
        options=deploy_options(settings),
        deployment=deployment,
    )


def make_judge(settings: EdgeSettings, session: str, keys: "KeyRing") -> "Judge":
    """Return who tells which orders to measure and to compare are obeyed."""
    from slimcast_edge.measuring.judge import Judge

    return Judge(
        site=settings.site,
        device=settings.device,
        session=session,
        keys=keys.keys,
        max_bytes=deploy_options(settings).max_artifact_bytes,
    )


def make_measuring(
    settings: EdgeSettings, folder: StateFolder, host: ClientHost, judge: "Judge"
) -> "Measuring":
    """Return what carries out orders to measure."""
    from slimcast_edge.measuring.desk import Measuring, MeasuringPlace
    from slimcast_edge.runtime.onnx import VERSION

    place = MeasuringPlace(
        folder=folder.folder / "measuring",
        models=folder.model_path,
        choice=settings.runtime_choice,
        version=VERSION,
        options=deploy_options(settings),
    )
    return Measuring(place, host, judge)


def make_comparing(
    settings: EdgeSettings, folder: StateFolder, host: ClientHost, judge: "Judge", engine: Engine
) -> "Comparing":
    """Return what lets a second model answer as well."""
    from slimcast_edge.client.comparing import Comparing, ComparingPlace
    from slimcast_edge.deploy.trial_process import TrialProcess

    place = ComparingPlace(
        folder=folder.folder / "comparing",
        models=folder.model_path,
        # It is never put to work, so it may be slower than what may be.
        trial=lambda: TrialProcess(settings.runtime_choice, max_latency_ms=None, build_s=settings.build_s),
        options=deploy_options(settings),
    )
    return Comparing(place, host, judge, engine)


def deploy_options(settings: EdgeSettings) -> DeployOptions:
    """Return the deployment's patience and limits."""
    return DeployOptions(
        probation_s=settings.probation_s,
        probation_frames=settings.probation_frames,
        probation_errors=settings.probation_errors,
        stall_s=settings.stall_s,
        max_artifact_bytes=int(settings.max_artifact_mb * 1e6),
        max_download_kbps=settings.max_download_kbps,
    )
