"""Payloads to bytes and back, sizes checked."""

import json
from typing import Any, TypeVar

from pydantic import ValidationError

from slimcast_edge.errors import WireError
from slimcast_edge.wire.payload import Payload
from slimcast_edge.wire.topics import TOPICS

P = TypeVar("P", bound=Payload)


def decode(kind: type[P], suffix: str, data: bytes | bytearray) -> P:
    """Validate a payload that has arrived.

    Raises:
        WireError: too large, no JSON, or not what this topic carries.

    """
    check_size(suffix, data)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WireError(
            f"Payload on {suffix!r} is invalid at {where or 'its root'}: {first['msg']}"
        ) from error


def check_size(suffix: str, data: bytes | bytearray) -> None:
    """Refuse a payload above its topic's limit.

    Raises:
        WireError: it is too large. A broker would disconnect the sender, again after every reconnect.

    """
    limit = TOPICS[suffix].max_bytes
    if len(data) > limit:
        raise WireError(f"A payload of {len(data)} bytes on {suffix!r} exceeds the limit of {limit} bytes.")


def canonical_json(document: dict[str, Any]) -> bytes:
    """Return the one byte string that a JSON document has: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
