"""How little of its freed memory the process keeps: glibc's allocator is made for servers with much of it.

Elsewhere (musl, macOS, Windows) nothing is done, and nothing is lost.
"""

import ctypes
import functools

_M_ARENA_MAX = -8  # malloc.h


def share_one_heap() -> None:
    """Let all threads of this process share one heap; call it before the first of them starts.

    By default each takes a heap of its own, and what is freed in one serves no other.
    """
    libc = _libc()
    if libc is not None:
        libc.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give what is free to the system, such as what opening a model took: some milliseconds."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)


@functools.cache
def _libc() -> ctypes.CDLL | None:
    try:
        here = ctypes.CDLL(None)  # what this process is linked with
    except (OSError, TypeError):
        return None
    return here if hasattr(here, "malloc_trim") and hasattr(here, "mallopt") else None
