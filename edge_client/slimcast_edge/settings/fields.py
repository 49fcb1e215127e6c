"""Every setting of a camera client, with its limits."""

import os
import re
import socket
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from slimcast_edge.broker_address import BrokerAccess, BrokerAddress, parse_url
from slimcast_edge.camera.configured import ONLY, ConfiguredCamera, configured
from slimcast_edge.errors import SettingsError
from slimcast_edge.logs import LogFormat, LogLevel
from slimcast_edge.runtime import RUNTIMES, RuntimeChoice
from slimcast_edge.runtime.providers import PROVIDERS
from slimcast_edge.wire import MAX_CAMERAS, CameraName, Name

KEY_FILE = "studio.pub"
ENGINES = "engines"
"""In the state folder: what providers have compiled, for each model in a folder of its name."""
ENROLMENT_FILE = "enrolment.json"
"""In the state folder: settings that `slimcast-edge enroll --code` has fetched from the studio."""
_PATHS = {
    "broker_password_file",
    "broker_ca_file",
    "broker_certificate_file",
    "broker_key_file",
    "state_folder",
    "model",
}


def _default_device() -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:64]
    return name if re.match(r"[A-Za-z0-9]", name) else "camera"


def default_state_folder() -> Path:
    """Return the state folder where the settings name none."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "slimcast-edge"


class EdgeSettings(BaseModel):
    """Everything that a camera can be told. Each field has its variable: ``SLIMCAST_EDGE_`` and its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Name = Field(
        default_factory=_default_device, description="Name of this camera, unique in its site."
    )
    site: Name = Field(default="lab", description="Name of the place; the studio must say the same.")
    broker: str = Field(
        default="mqtt://127.0.0.1:1883",
        description="Address of the broker: mqtt[s]://[user:password@]host[:port].",
    )
    broker_user: str = Field(default="", max_length=128, description="User at the broker.")
    broker_password: str = Field(default="", repr=False, description="The user's password.")
    broker_password_file: Path | None = Field(
        default=None, description="A file whose first line is the password; wins over `broker_password`."
    )
    broker_ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) that may vouch for an mqtts broker; without it, the system's.",
    )
    broker_certificate_file: Path | None = Field(
        default=None, description="This camera's own certificate (PEM), where the broker asks for one."
    )
    broker_key_file: Path | None = Field(
        default=None, description="The key (PEM) of that certificate, if it is not in the same file."
    )
    state_folder: Path = Field(
        default_factory=default_state_folder,
        description="Where models, their state and the studio's key are kept.",
    )
    model: Path | None = Field(
        default=None, description="Artifact to start with while nothing has been published."
    )
    camera: dict[str, Any] = Field(
        default={"kind": "video"},
        description="Where frames come from: `kind`, and the settings of that kind.",
    )
    cameras: dict[CameraName, dict[str, Any]] = Field(
        default={},
        max_length=MAX_CAMERAS,
        description="Several cameras in place of `camera`: for each name a table like that.",
    )
    runtime: str = Field(default="onnxruntime", description="What executes the model.")
    provider: str = Field(
        default="auto",
        description="With what the runtime computes: auto (the first that is there), tensorrt, cuda, "
        "openvino, cpu.",
    )
    threads: int = Field(default=1, ge=1, le=64, description="Threads that compute.")
    spin: bool = Field(
        default=False,
        description="Let those threads wait busily: a little faster with several, and hotter all the time.",
    )
    build_s: float = Field(
        default=1200.0,
        ge=1,
        le=86_400,
        description="How long a provider that compiles a new model first (TensorRT) may take for it, s.",
    )
    max_latency_ms: float | None = Field(
        default=None, gt=0, description="A new model that takes longer for one image is refused, ms."
    )
    max_artifact_mb: float = Field(
        default=512, gt=0, le=1024, description="A larger artifact is refused, 10^6 bytes."
    )
    probation_s: float = Field(default=5.0, ge=0, le=3600, description="How long a new model is watched, s.")
    probation_frames: int = Field(default=30, ge=0, description="How many frames it must classify meanwhile.")
    probation_errors: int = Field(default=3, ge=1, description="As many failures bring the old model back.")
    max_download_kbps: float | None = Field(
        default=None, gt=0, description="Downloads use at most this much of the network, 1000 bits a second."
    )
    stall_s: float = Field(
        default=30.0, gt=0, description="A download that stands still for so long has failed, s."
    )
    telemetry_s: float = Field(
        default=2.0, ge=0.2, le=3600, description="Time between two reports of well-being, s."
    )
    buffer_results: int = Field(
        default=5000,
        ge=0,
        le=50_000,
        description="As many results are kept in memory while the broker is away, about 0.4 KB each.",
    )
    snapshots_kept: int = Field(
        default=50, ge=0, le=10_000, description="As many pictures stay in the state folder; 0 keeps none."
    )
    away_picture_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="While the broker is away, take a picture that often, s; 0 takes none.",
    )

    log_format: LogFormat = Field(
        default="text", description="`text` for people, `json` for programs; one line for each event."
    )
    log_level: LogLevel = Field(
        default="info", description="What is logged: `debug`, `info`, `warning` or `error`."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of /metrics for Prometheus; none: there are no figures.",
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Where that port listens; 0.0.0.0 lets the whole network read it."
    )
    home_assistant: bool = Field(
        default=False, description="Appear in Home Assistant, through the same broker."
    )
    home_assistant_prefix: str = Field(
        default="homeassistant",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        max_length=100,
        description="Prefix of the topic on which Home Assistant discovers devices.",
    )
    home_assistant_s: float = Field(
        default=10.0, ge=1, le=3600, description="Time between two pictures and states for Home Assistant, s."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty_paths(cls, values: dict[str, Any]) -> dict[str, Any]:
        # An empty path would be the folder that the client happens to be started in.
        return {name: value for name, value in values.items() if value != "" or name not in _PATHS}

    @field_validator("broker")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            parse_url(value)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("runtime")
    @classmethod
    def _is_runtime(cls, value: str) -> str:
        if value not in RUNTIMES:
            raise ValueError(f"unknown runtime {value!r}; known: {', '.join(RUNTIMES.names())}")
        return value

    @field_validator("provider")
    @classmethod
    def _is_provider(cls, value: str) -> str:
        if value not in PROVIDERS:
            raise ValueError(f"unknown provider {value!r}; known: {', '.join(PROVIDERS)}")
        return value

    @field_validator("site", "device")
    @classmethod
    def _is_not_reserved(cls, value: str) -> str:
        if value == "blob":
            raise ValueError("'blob' is reserved")
        return value

    def broker_address(self) -> BrokerAddress:
        """Return the broker, who this camera is there, and whom it trusts.

        Raises:
            SettingsError: a file cannot be read, or a setting lacks the one that it needs.

        """
        access = BrokerAccess(
            user=self.broker_user,
            password=self.broker_password,
            password_file=self.broker_password_file,
            ca_file=self.broker_ca_file,
            certificate_file=self.broker_certificate_file,
            key_file=self.broker_key_file,
        )
        return access.address(self.broker)

    @property
    def camera_tables(self) -> dict[str, dict[str, Any]]:
        """The tables of all cameras by their names; the only one has none."""
        return dict(self.cameras) or {ONLY: self.camera}

    def all_cameras(self) -> tuple[ConfiguredCamera, ...]:
        """Return every camera, typed by its kind."""
        return tuple(configured(name, table) for name, table in self.camera_tables.items())

    @property
    def runtime_choice(self) -> RuntimeChoice:
        """What executes models, with all that belongs to it."""
        return RuntimeChoice(
            name=self.runtime,
            provider=self.provider,
            threads=self.threads,
            spin=self.spin,
            cache=self.state_folder.expanduser() / ENGINES,
        )

    @property
    def is_enrolled(self) -> bool:
        """Whether a studio gave this device settings with a one-time code."""
        return (self.state_folder.expanduser() / ENROLMENT_FILE).exists()

    @property
    def key_file(self) -> Path:
        """Where the pinned key of the studio lies."""
        return self.state_folder.expanduser() / KEY_FILE
