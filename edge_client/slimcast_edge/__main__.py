"""``python -m slimcast_edge`` is ``slimcast-edge``."""

import sys

from slimcast_edge.cli import main

if __name__ == "__main__":
    sys.exit(main())
