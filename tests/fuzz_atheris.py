"""Fuzz one parser, or all in turn, with atheris: ``python tests/fuzz_atheris.py [TARGET] [SECONDS]``.

Needs ``pip install atheris``, which looks at coverage to find new inputs. A finding ends the run with a
traceback and the file of the input, as libFuzzer writes it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["slimcast_edge", "slimcast.recipe", "slimcast.data", "slimcast.fleet"]
):
    from fuzz_targets import TARGETS

SECONDS = 60


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    target = TARGETS[name]

    def once(data: bytes) -> None:
        try:
            target.run(data)
        except target.declared:
            return

    with tempfile.TemporaryDirectory() as corpus:
        for index, seed in enumerate(target.seeds):
            (Path(corpus) / str(index)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2048", corpus]
        atheris.Setup([sys.argv[0], *options], once)
        atheris.Fuzz()


def main() -> int:
    """Fuzz what the command line names; all targets, each in a process of its own, where it names none."""
    if len(sys.argv) > 1 and sys.argv[1] in TARGETS:
        fuzz(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else SECONDS)
        return 0
    seconds = sys.argv[1] if len(sys.argv) > 1 else str(SECONDS)
    failed = [
        name
        for name in TARGETS
        if subprocess.run([sys.executable, __file__, name, seconds], check=False).returncode
    ]
    print(f"Found something in: {', '.join(failed)}" if failed else "Nothing found.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
