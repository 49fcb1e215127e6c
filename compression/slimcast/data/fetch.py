"""Download an archive, and take from it the files that are wanted, by name, and nothing else."""

import hashlib
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from slimcast.errors import DataError

_TIMEOUT_S = 30.0
_CHUNK_BYTES = 2**20
_LARGEST_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A .tar.gz on the web. `md5` is the sum that its publisher gives."""

    url: str
    md5: str


def fetch(archive: Archive, folder: Path, names: tuple[str, ...], *, title: str) -> None:
    """Fill `folder` with those files of the archive that it lacks. What is there already stays.

    Raises:
        DataError: it cannot be downloaded, or is not what its publisher promises: says what to put where.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    try:
        with tempfile.TemporaryFile(prefix="slimcast-") as file:
            _download(archive, file)
            _unpack(file, folder, missing)
    except (OSError, ValueError, EOFError, tarfile.TarError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise DataError(
            f"{title} is not complete and could not be downloaded ({reason}). Unpack {archive.url} so that "
            f"{folder} holds {', '.join(missing)}, or point SLIMCAST_DATA_ROOT to a folder that has "
            f"{folder.name}."
        ) from error


def _download(archive: Archive, file: IO[bytes]) -> None:
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with urlopen(archive.url, timeout=_TIMEOUT_S) as answer:
        while chunk := answer.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > _LARGEST_BYTES:
                raise ValueError(f"the download is larger than {_LARGEST_BYTES} bytes")
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != archive.md5:
        raise ValueError(f"the download has the MD5 sum {digest.hexdigest()}, expected {archive.md5}")
    file.seek(0)


def _unpack(file: IO[bytes], folder: Path, names: list[str]) -> None:
    # Members are read and written one by one under names of our own: no path of the archive is used.
    folder.mkdir(parents=True, exist_ok=True)
    found = set()
    with tarfile.open(fileobj=file, mode="r:gz") as members:
        for member in members:
            name = Path(member.name).name
            content = members.extractfile(member) if name in names and member.isfile() else None
            if content is None:
                continue
            draft = folder / f".{name}.new"
            draft.write_bytes(content.read())
            draft.replace(folder / name)
            found.add(name)
    if set(names) - found:
        raise ValueError(f"the archive lacks {', '.join(sorted(set(names) - found))}")
