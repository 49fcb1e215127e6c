"""Every error that Slimcast raises on purpose.

::

    SlimcastError                 a sentence for the user: what was expected, what came, what to do
    ├── SettingsError             a setting or a configuration file is wrong
    ├── AlreadyRunning            another client has this state folder
    ├── UnknownKind               a catalog has no entry of that name (the message lists the known ones)
    ├── DuplicateKind             a catalog already has an entry of that name
    ├── WireError                 a payload that came over MQTT is malformed or too large
    ├── SignatureError            a signature does not match the pinned key
    ├── EnrolmentError            the studio cannot be reached, or does not take the code
    ├── ArtifactError             a file is no artifact of ours, or refused; `reason` says which way
    ├── CameraError               a camera cannot be opened or read
    │   └── CameraAway            it is unplugged, busy or silent, and may come back
    ├── PreviewError              there can be no window here
    └── RuntimeFailure            no runtime can execute the model
"""

from enum import StrEnum


class SlimcastError(Exception):
    """Base of all errors whose text is meant for the user as it stands."""


class SettingsError(SlimcastError):
    """A setting or a configuration file is wrong."""


class AlreadyRunning(SlimcastError):
    """Another client has this state folder; it may end, so trying again is worth it."""


class UnknownKind(SlimcastError):
    """A catalog has no entry of that name."""


class DuplicateKind(SlimcastError):
    """A catalog already has an entry of that name."""


class WireError(SlimcastError):
    """A payload is malformed, or larger than its topic allows."""


class SignatureError(SlimcastError):
    """A signature does not match the pinned key."""


class EnrolmentError(SlimcastError):
    """The studio cannot be reached, or does not take the code."""


class Refusal(StrEnum):
    """Why an artifact was not put to work. The word travels in `reported.reason` and in events."""

    NOT_AN_ARTIFACT = "not_an_artifact"
    WRONG_HASH = "wrong_hash"
    WRONG_SIGNATURE = "wrong_signature"
    OLDER_REVISION = "older_revision"
    EXTERNAL_DATA = "external_data"
    UNKNOWN_OPERATOR = "unknown_operator"
    LOADER_CRASHED = "loader_crashed"
    LOADER_FAILED = "loader_failed"
    GOLDEN_SAMPLES_DIFFER = "golden_samples_differ"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    NO_SPACE = "no_space"
    DOWNLOAD_STALLED = "download_stalled"
    PROBATION_ERRORS = "probation_errors"
    PROBATION_CRASHED = "probation_crashed"


class ArtifactError(SlimcastError):
    """A file is no artifact of ours, or it is refused.

    Attributes:
        reason: machine-readable cause.

    """

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class CameraError(SlimcastError):
    """A camera cannot be opened or read."""


class CameraAway(CameraError):
    """A camera is unplugged, busy or silent: it may come back, and is worth another try."""


class PreviewError(SlimcastError):
    """A window for the camera's picture cannot be opened on this device."""


class RuntimeFailure(SlimcastError):
    """No runtime can execute the model, or one failed while doing so."""
