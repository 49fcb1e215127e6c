"""Graphs of single layers as one file: a zip, stored as they are, named by their number."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from slimcast_edge.artifact_file import ALLOWED_DOMAINS
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.onnx_reader import read_onnx
from slimcast_edge.wire import MAX_LAYERS

_MAX_GRAPH_BYTES = 256 << 20
_UNREADABLE = (
    zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, KeyError, ValueError
)  # fmt: skip
"""What the library raises for bytes that are no zip; ValueError for a name that is no UTF-8."""


def pack_layers(graphs: Sequence[bytes]) -> bytes:
    """Return the file; the same graphs give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for number, graph in enumerate(graphs):
            bundle.writestr(zipfile.ZipInfo(_name(number)), graph)  # dated 1980, always
    return buffer.getvalue()


def read_layers(path: Path, count: int) -> Iterator[bytes]:
    """Return the graphs in their order, one at a time, each checked before any runtime touches it.

    Raises:
        ArtifactError: this is no such file, or a graph is not self-contained or uses foreign operators.

    """
    try:
        with zipfile.ZipFile(path) as bundle:
            entries = bundle.infolist()
            if len(entries) != count or count > MAX_LAYERS:
                raise _refused(f"it holds {len(entries)} layers instead of {count}")
            for number, entry in enumerate(entries):
                if entry.filename != _name(number) or entry.compress_type != zipfile.ZIP_STORED:
                    raise _refused(f"entry {number} is not as it should be")
                if entry.file_size > _MAX_GRAPH_BYTES:
                    raise _refused(f"layer {number} has {entry.file_size} bytes")
                yield _checked(bundle.read(entry), number)
    except _UNREADABLE as error:
        raise _refused(f"it cannot be read ({error})") from error


def _checked(graph: bytes, number: int) -> bytes:
    summary = read_onnx(graph)
    if summary.has_external_data or any(domain not in ALLOWED_DOMAINS for domain, _ in summary.operators):
        raise _refused(f"layer {number} reads other files or uses operators that are not stock")
    return graph


def _name(number: int) -> str:
    return f"{number}.onnx"


def _refused(why: str) -> ArtifactError:
    return ArtifactError(Refusal.NOT_AN_ARTIFACT, f"This bundle of layers is refused: {why}.")
