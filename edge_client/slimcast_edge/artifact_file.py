"""Reads and checks an artifact's file before any runtime touches it."""

import mmap
from pathlib import Path

from slimcast_edge.artifact import METADATA_KEY, ArtifactInfo
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.onnx_reader import OnnxSummary, read_onnx

ALLOWED_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
"""Operator sets that a stock ONNX Runtime brings along."""


def read_info(model: Path | bytes) -> ArtifactInfo:
    """Return what an artifact says of itself; no session is built.

    Raises:
        ArtifactError: the file cannot be read, is no ONNX model, or has no description of ours.

    """
    return _info(_summary(model))


def check_file(model: Path | bytes) -> ArtifactInfo:
    """Read an artifact and refuse what must never reach a runtime.

    Raises:
        ArtifactError: as `read_info`; or a tensor lies in another file; or an operator is not a stock one.

    """
    summary = _summary(model)
    info = _info(summary)
    if summary.has_external_data:
        raise ArtifactError(
            Refusal.EXTERNAL_DATA,
            f"Artifact {info.name!r} keeps weights in another file. An artifact is one self-contained file.",
        )
    foreign = sorted(
        f"{domain}.{kind}" for domain, kind in summary.operators if domain not in ALLOWED_DOMAINS
    )
    if foreign:
        raise ArtifactError(
            Refusal.UNKNOWN_OPERATOR,
            f"Artifact {info.name!r} uses operators that ONNX Runtime lacks: {', '.join(foreign[:5])}.",
        )
    return info


def _summary(model: Path | bytes) -> OnnxSummary:
    if isinstance(model, bytes):
        return read_onnx(model)
    try:
        # Mapped, so that the weights are never read: a camera has little memory.
        with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return read_onnx(mapped)
    except OSError as error:
        why = error.strerror or error
        raise ArtifactError(Refusal.NOT_AN_ARTIFACT, f"Cannot read the model {model}: {why}.") from error
    except ValueError as error:  # it cannot be mapped
        raise ArtifactError(
            Refusal.NOT_AN_ARTIFACT, f"Cannot read the model {model}: it is empty."
        ) from error


def _info(summary: OnnxSummary) -> ArtifactInfo:
    text = summary.metadata.get(METADATA_KEY)
    if text is None:
        raise ArtifactError(
            Refusal.NOT_AN_ARTIFACT,
            "This ONNX file has no Slimcast description. Export the model with: slimcast run RECIPE.yaml",
        )
    return ArtifactInfo.from_json(text)
