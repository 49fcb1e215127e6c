"""Reads what an ONNX file says of itself without building anything from it: safe on arbitrary bytes.

A small walker over the protobuf encoding. It descends only into messages that can hold operators, tensors or
metadata, never copies weights, and is bounded in depth and in the number of fields it looks at.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field

from slimcast_edge.errors import ArtifactError, Refusal

MAX_DEPTH = 64
MAX_FIELDS = 2_000_000
"""A model of a thousand operators has some twenty thousand fields."""
MAX_TEXT_BYTES = 64 << 20

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1  # TensorProto.DataLocation

# Which fields of a message are messages worth looking into.
_INNER: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "property", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "opset": {},
    "property": {},
    "tensor": {},
}

Buffer = bytes | bytearray | memoryview | mmap.mmap


@dataclass(frozen=True, kw_only=True)
class OnnxSummary:
    """What a file contains.

    Attributes:
        opsets: version of each imported operator set; the default domain is "".
        operators: (domain, type) of every node, those in subgraphs and local functions among them.
        metadata: ``metadata_props``.
        has_external_data: whether any tensor lies in another file.

    """

    ir_version: int
    opsets: dict[str, int]
    operators: frozenset[tuple[str, str]]
    metadata: dict[str, str]
    has_external_data: bool

    @property
    def opset(self) -> int:
        """Version of the default operator set, 0 where none is imported."""
        return self.opsets.get("", self.opsets.get("ai.onnx", 0))


@dataclass
class _Findings:
    ir_version: int = 0
    has_graph: bool = False
    external: bool = False
    opsets: dict[str, int] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)
    metadata: dict[str, str] = field(default_factory=dict)


def read_onnx(data: Buffer) -> OnnxSummary:
    """Walk through a file.

    Raises:
        ArtifactError: these bytes are no ONNX model, or one beyond all measure.

    """
    with memoryview(data) as view:
        found = _walk(view)
    if not found.has_graph or not found.opsets:
        raise _broken("it has no graph or no operator set")
    return OnnxSummary(
        ir_version=found.ir_version,
        opsets=found.opsets,
        operators=frozenset(found.operators),
        metadata=found.metadata,
        has_external_data=found.external,
    )


def _walk(view: memoryview) -> _Findings:
    found = _Findings()
    budget = MAX_FIELDS
    pending = [
        ("model", 0, len(view), 0)
    ]  # (message, start, end, depth): a stack, so that depth costs no recursion
    while pending:
        message, start, end, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise _broken(f"it is nested more than {MAX_DEPTH} levels deep")
        inner = _INNER[message]
        scalars: dict[int, int | tuple[int, int]] = {}
        for number, value in _fields(view, start, end):
            budget -= 1
            if budget < 0:
                raise _broken(f"it has more than {MAX_FIELDS} fields")
            kind = inner.get(number)
            if kind is not None and isinstance(value, tuple):
                pending.append((kind, value[0], value[1], depth + 1))
            else:
                scalars[number] = value
            found.external |= message == "tensor" and (number == 13 or (number == 14 and value == _EXTERNAL))
        _note(found, message, scalars, view)
        found.has_graph |= message == "graph"
    return found


def _note(
    found: _Findings, message: str, scalars: dict[int, int | tuple[int, int]], view: memoryview
) -> None:
    if message == "model":
        found.ir_version = _number(scalars.get(1))
    elif message == "node":
        found.operators.add((_text(view, scalars.get(7)), _text(view, scalars.get(4))))
    elif message == "opset":
        found.opsets[_text(view, scalars.get(1))] = _number(scalars.get(2))
    elif message == "property":
        key = _text(view, scalars.get(1))
        if key in found.metadata:
            raise _broken(f"its metadata names {key[:60]!r} twice")
        found.metadata[key] = _text(view, scalars.get(2))


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Yield (field number, value); the value is a number, or the (start, end) of whatever has a length."""
    at = start
    while at < end:
        key, at = _varint(view, at, end)
        number, wire_type = key >> 3, key & 7
        value: int | tuple[int, int]
        if wire_type == _VARINT:
            value, at = _varint(view, at, end)
        elif wire_type == _BYTES:
            size, at = _varint(view, at, end)
            value = (at, at + size)
            at += size
        elif wire_type in (_FIXED64, _FIXED32):
            value = 0  # floats: nothing here needs them
            at += 8 if wire_type == _FIXED64 else 4
        else:
            raise _broken(f"byte {at} starts a field of the unknown type {wire_type}")
        if at > end or number == 0:
            raise _broken(f"a field ends at byte {at}, beyond its message")
        yield number, value


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _broken("it ends in the middle of a number")
        byte = view[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, at
    raise _broken(f"the number at byte {at} is too long")


def _number(value: int | tuple[int, int] | None) -> int:
    return value if isinstance(value, int) else 0


def _text(view: memoryview, value: int | tuple[int, int] | None) -> str:
    if not isinstance(value, tuple):
        return ""
    start, end = value
    if end - start > MAX_TEXT_BYTES:
        raise _broken(f"a text of {end - start} bytes is too long")
    try:
        return str(view[start:end], "utf-8")
    except UnicodeDecodeError as error:
        raise _broken(f"the text at byte {start} is no UTF-8") from error


def _broken(what: str) -> ArtifactError:
    return ArtifactError(
        Refusal.NOT_AN_ARTIFACT, f"This file is no ONNX model that Slimcast can read: {what}."
    )
