"""`python -m slimcast_web`: run the app with the settings from the environment."""

import sys

from slimcast_web.server import main

if __name__ == "__main__":
    sys.exit(main())
