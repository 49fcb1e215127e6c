"""How large the directory of a zip archive is, told before anything of it is read into memory."""

import os
import struct
from typing import IO

from slimcast.errors import DataError

_END = struct.Struct("<4s4H2LH")  # the last is the length of a comment, which follows
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_LONGEST_COMMENT = 2**16 - 1
_IN_64 = 2**32 - 1  # stands for a number that is in the larger record


def directory_bytes(archive: IO[bytes]) -> int:
    """Return the size of the archive's directory, bytes, as its last record says.

    `zipfile` reads the directory whole, and makes an object of each of its entries.

    Raises:
        DataError: this is no zip archive.
    """
    size = archive.seek(0, os.SEEK_END)
    start = max(0, size - _END.size - _LONGEST_COMMENT)
    archive.seek(start)
    tail = archive.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise DataError("The file is no zip archive, or its end is missing.")
    told = int(_END.unpack_from(tail, at)[5])
    return told if told != _IN_64 else _in_larger_record(archive, start + at)


def _in_larger_record(archive: IO[bytes], end: int) -> int:
    try:
        archive.seek(max(0, end - _LOCATOR64.size))
        _, _, place, _ = _LOCATOR64.unpack(archive.read(_LOCATOR64.size))
        archive.seek(place)
        return int(_END64.unpack(archive.read(_END64.size))[8])
    except (struct.error, OSError, ValueError, OverflowError) as error:
        raise DataError("The zip archive is damaged: its end cannot be read.") from error
