import re
import subprocess
import sys

import pytest

from slimcast_edge import memory
from slimcast_edge.telemetry import rss_mb

glibc = pytest.mark.skipif(memory._libc() is None, reason="the allocator is not glibc's")

_HEAPS = """
import ctypes, sys, threading
from slimcast_edge import memory

if sys.argv[1] == "one":
    memory.share_one_heap()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
all_there = threading.Barrier(5)

def take():
    libc.malloc(1000)
    all_there.wait()

threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
all_there.wait()
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
"""


@glibc
def test_what_is_free_goes_back_to_the_system():
    taken = [bytearray(b"x") * 100_000 for _ in range(600)]
    before = rss_mb()
    taken[:-1] = []  # the last one keeps the heap from shrinking by itself

    memory.give_back()

    assert before - rss_mb() > 40


@glibc
@pytest.mark.parametrize("heaps", ["one", "each its own"])
def test_threads_share_one_heap(heaps):
    done = subprocess.run([sys.executable, "-c", _HEAPS, heaps], capture_output=True, text=True, check=True)

    numbers = re.findall(r'<heap nr="(\d+)"', done.stdout)

    assert (len(numbers) == 1) == (heaps == "one"), done.stdout[:500]


def test_an_allocator_that_offers_neither_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "_libc", lambda: None)

    memory.share_one_heap()
    memory.give_back()
