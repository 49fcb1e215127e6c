"""``python -m slimcast`` and the command ``slimcast``."""

import sys
from importlib.util import find_spec

NEEDED = ("typer", "sqlalchemy", "torch")


def main() -> None:
    """Run the command line; where only the camera client is installed, say what is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(
            f"slimcast: The studio is not installed here ({', '.join(missing)} missing). Install it: "
            'pip install "slimcast[studio]". The command of the camera client is slimcast-edge.'
        )
    from slimcast.cli import main as run

    run()


if __name__ == "__main__":
    main()
