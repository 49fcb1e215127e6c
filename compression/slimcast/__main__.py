"""``python -m slimcast``."""

from slimcast.cli import main

if __name__ == "__main__":
    main()
