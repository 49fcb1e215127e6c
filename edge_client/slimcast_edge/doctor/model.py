"""The studio's key, what executes models, and the model that is there."""

from pathlib import Path

from pydantic import ValidationError

from slimcast_edge.deploy.download import hash_file
from slimcast_edge.deploy.pinned import KeyRing
from slimcast_edge.deploy.state import Deployment, ModelEntry
from slimcast_edge.deploy.trial_process import TrialProcess
from slimcast_edge.doctor.child import ask_child
from slimcast_edge.doctor.finding import Finding, bad, good
from slimcast_edge.errors import ArtifactError, SettingsError
from slimcast_edge.settings import EdgeSettings
from slimcast_edge.signing import fingerprint

RUNTIME_LIMIT_S = 60.0
TRIAL_LIMIT_S = 90.0
_PUBLISH_AGAIN = "Publish a model to this device again, on the studio's page Fleet."


def check_key(settings: EdgeSettings) -> Finding:
    """Check that a studio's key is pinned, and can be read."""
    how = (
        "In the studio: slimcast devices enrol NAME (or the page Fleet), which says what to type here. By "
        "hand: slimcast-edge enroll --config FILE --key KEY, with what `slimcast key` prints there."
    )
    try:
        keys = KeyRing(settings.key_file).keys()
    except SettingsError as error:
        if isinstance(error.__cause__, OSError):
            return bad("key", str(error), "Run this as the client's user or as root.")
        return bad("key", f"The file is damaged: {error}", how)
    if not keys:
        return bad("key", "No studio's key is pinned: every order will be refused.", how)
    marks = ", ".join(map(fingerprint, keys))
    return good("key", f"{marks} is pinned; `slimcast key list` must show the same")


def check_runtime(settings: EdgeSettings) -> Finding:
    """Load the runtime in a process of its own: a wheel for another processor kills that alone."""
    answer = ask_child("runtime", {"name": settings.runtime}, timeout_s=RUNTIME_LIMIT_S)
    if "error" in answer:
        return bad(
            "runtime",
            f"{settings.runtime}: {answer['error']}",
            "Install it anew: pip install --force-reinstall 'onnxruntime>=1.20,!=1.21.0'. It needs a 64-bit "
            "system; its version 1.21.0 crashes on a Raspberry Pi 4.",
        )
    return good("runtime", f"{settings.runtime} {answer['version']}: {', '.join(answer['providers'])}")


def check_model(settings: EdgeSettings) -> Finding:
    """Try the active model as a new one is tried: golden samples, and the time for one image."""
    folder = settings.state_folder.expanduser()
    try:
        active = Deployment.model_validate_json((folder / "deployment.json").read_bytes()).active
    except FileNotFoundError:
        active = None
    except OSError as error:
        return bad(
            "model", f"Cannot read the state in {folder}: {error.strerror}.", "Run this as the client's user."
        )
    except ValidationError:
        return bad(
            "model", f"{folder / 'deployment.json'} is damaged; the client starts anew.", _PUBLISH_AGAIN
        )
    if active is not None:
        path = folder / "models" / f"{active.sha256}.onnx"
        return _damaged(path, active) or _tried(path, settings, active.name, _PUBLISH_AGAIN)
    if settings.model is not None:
        how = (
            "Name a whole artifact as `model` in the settings, or leave it out and publish one in the studio."
        )
        return _tried(settings.model.expanduser(), settings, str(settings.model), how)
    return good("model", "none yet; the client waits until the studio publishes one")


def _damaged(path: Path, active: ModelEntry) -> Finding | None:
    try:
        whole = hash_file(path) == active.sha256
    except OSError as error:
        return bad("model", f"Cannot read {active.name!r} in {path}: {error.strerror}.", _PUBLISH_AGAIN)
    if whole:
        return None
    return bad(
        "model",
        f"The file of {active.name!r} is no longer what was published.",
        f"{_PUBLISH_AGAIN} If it happens again the card is failing: replace it.",
    )


def _tried(path: Path, settings: EdgeSettings, name: str, advice: str) -> Finding:
    trial = TrialProcess(
        settings.runtime_choice,
        max_latency_ms=settings.max_latency_ms,
        build_s=TRIAL_LIMIT_S,
        timeout_s=TRIAL_LIMIT_S,
    )
    try:
        passed = trial(path)
    except ArtifactError as error:
        return bad("model", str(error) if name in str(error) else f"{name}: {error}", advice)
    return good("model", f"{name}: answers its golden samples, {passed.latency_ms:.1f} ms for one image")
