"""Weights that come from a browser: a safetensors file below the weights root, checked by its header.

Nothing is unpickled, and no tensor is read here: the header alone says names, types, shapes and places, and
the file must be exactly as long as they add up to. Imports no torch.
"""

import json
import math
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from slimcast.errors import ModelError

UPLOADS = "uploads"
_SUFFIX = ".safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LARGEST_HEADER = 16 * 2**20  # bytes; a network of ten thousand tensors needs about one megabyte
_BYTES = {  # of one value
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class UploadedWeights:
    """What came of it.

    Attributes:
        path: what a recipe says as `model.weights`.
        tensors: how many there are. values: numbers in all of them together.
    """

    path: str
    tensors: int
    values: int


def add_weights(file: IO[bytes], name: str, *, root: Path, replace: bool = False) -> UploadedWeights:
    """Keep an uploaded file as ``uploads/NAME.safetensors`` below the weights root, whole or not at all.

    Args:
        file: what was uploaded, seekable.
        name: letters, digits, ``_ . -``; the ending may be left out.
        root: folder of weights.
        replace: whether a file of that name may be replaced.

    Raises:
        ModelError: the name cannot be used or is taken, or this is no sound safetensors file.
    """
    name = name.removesuffix(_SUFFIX)
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} cannot be the name of weights: 1 to 64 of A-Z a-z 0-9 _ . -, a letter or digit first."
        )
    target = root / UPLOADS / f"{name}{_SUFFIX}"
    if target.exists() and not replace:
        raise ModelError(f"There are weights named {name} already. Choose another name, or replace them.")
    tensors = read_header(file)
    file.seek(0)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".upload-", delete=False) as draft:
            shutil.copyfileobj(file, draft)
        Path(draft.name).replace(target)
    except OSError as error:
        raise ModelError(f"The weights could not be written to {target.parent}: {error}.") from error
    values = sum(math.prod(shape) for shape in tensors.values())
    return UploadedWeights(path=f"{UPLOADS}/{target.name}", tensors=len(tensors), values=values)


def uploaded_weights(root: Path) -> list[str]:
    """Return the paths of all uploaded weights, as a recipe says them."""
    return sorted(f"{UPLOADS}/{file.name}" for file in (root / UPLOADS).glob(f"[!.]*{_SUFFIX}"))


def read_header(file: IO[bytes]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a safetensors file.

    Raises:
        ModelError: this is no sound safetensors file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _LARGEST_HEADER):
        raise _unsound("its header does not fit in")
    try:
        header = json.loads(file.read(length).decode())
        header.pop("__metadata__", None)
        found = [(name, *_tensor(entry)) for name, entry in header.items()]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise _unsound(f"its header cannot be read ({type(error).__name__})") from error
    end = 0
    for _, _, first, last in sorted(found, key=lambda item: item[2:]):
        if first != end:
            raise _unsound("its tensors overlap or leave a gap")
        end = last
    if not found or end != size - 8 - length:
        raise _unsound("it is not as long as its header says")
    return {name: shape for name, shape, _, _ in found}


def _tensor(entry: dict[str, Any]) -> tuple[tuple[int, ...], int, int]:
    shape, (first, last) = tuple(entry["shape"]), entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, first, last)):
        raise ValueError("sizes must be whole numbers")
    if last - first != math.prod(shape) * _BYTES[entry["dtype"]]:
        raise ValueError("a tensor has another length than its shape says")
    return shape, first, last


def _unsound(why: str) -> ModelError:
    return ModelError(
        f"This is no sound safetensors file: {why}. Files in PyTorch's own format (.pth, .pt) can hold code "
        "and are never read; convert them with safetensors.torch.save_file."
    )
