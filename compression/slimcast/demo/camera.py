"""The demo's camera: the real client, showing digits that no training has seen."""

import json
import subprocess
import sys
from pathlib import Path

from slimcast.data.samples import write_samples
from slimcast.errors import FleetError
from slimcast.fleet import studio_key
from slimcast.recipe.subject import DataSpec
from slimcast.settings import Settings
from slimcast_edge.signing import public_key_to_text

DEVICE = "demo-camera"
FPS = 30
EDGE = (sys.executable, "-m", "slimcast_edge")


def prepare_camera(settings: Settings, *, hold_frames: int) -> list[str]:
    """Write the camera's pictures and configuration, pin the studio's key, and return the client's command.

    Raises:
        FleetError: the client does not take the key.
    """
    folder = settings.home / "camera"
    folder.mkdir(parents=True, exist_ok=True)
    images, config = folder / "digits.npz", folder / "edge.toml"
    write_samples(DataSpec(name="digits"), images, root=settings.data_root)
    config.write_text(_configuration(settings, images, hold_frames), encoding="utf-8")
    key = public_key_to_text(studio_key(settings).public_key())
    enroll = [*EDGE, "enroll", "--config", str(config), "--key", key]
    done = subprocess.run(enroll, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FleetError(f"The camera client did not take the studio's key: {done.stderr.strip()[-500:]}")
    return [*EDGE, "run", "--config", str(config)]


def _configuration(settings: Settings, images: Path, hold_frames: int) -> str:
    # A JSON string is a TOML string, too.
    return f"""# Written by the demo at each start.
device = {json.dumps(DEVICE)}
site = {json.dumps(settings.site)}
broker = {json.dumps(settings.effective_broker_url)}
state_folder = {json.dumps(str(settings.home / "camera" / "state"))}
probation_s = 2.0

[camera]
kind = "synthetic"
source = {json.dumps(str(images))}
fps = {FPS}
hold = {hold_frames}
"""
