"""Run every benchmark of this folder, one after the other, and print what each prints.

python benchmarks/run_all.py            all of them (many hours on 2 cores: it trains)
python benchmarks/run_all.py client     those whose name begins so
"""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Return how many benchmarks failed."""
    prefix = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = 0
    for script in sorted(HERE.glob("*_*.py")):
        if script.name == "run_all.py" or not script.name.startswith(prefix):
            continue
        print(f"\n== {script.name} ==", flush=True)
        started = time.monotonic()
        code = subprocess.run([sys.executable, script], check=False).returncode
        print(f"-- {script.name}: exit {code} after {time.monotonic() - started:.0f} s", flush=True)
        failed += code != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
