"""Read IDX files, the format of MNIST, plain or gzipped."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from slimcast.errors import DataError

_MAX_BYTES = 2**31


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Return the array of bytes that the file holds, uint8 with that number of dimensions.

    Raises:
        DataError: the file cannot be read, or is no such array: says what was expected and what came.
    """
    content = _content(path)
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path} is cut off: {len(content)} bytes, expected a header of {header}.")
    magic = struct.unpack(">I", content[:4])[0]
    expected = 0x0800 | dimensions
    if magic != expected:
        raise DataError(
            f"{path} is no IDX file of {dimensions} dimensions: expected magic {expected}, found {magic}."
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size = math.prod(shape)
    if len(content) - header != size:
        raise DataError(
            f"{path} is damaged: its header promises {size} bytes {shape}, found {len(content) - header}."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            content = file.read(_MAX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Cannot read {path}: {error}.") from error
    return content
