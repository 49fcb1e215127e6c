"""The command ``slimcast-edge enroll``: whose orders this camera obeys, and where its broker is."""

import argparse
import contextlib
import sys
from pathlib import Path

from slimcast_edge.errors import SettingsError

INSTALLED_CONFIG = Path("/etc/slimcast/edge.toml")
"""Where edge_client/install.sh writes the settings of the service."""


def enroll(options: argparse.Namespace) -> int:
    """Do the one thing that was asked for."""
    from slimcast_edge.deploy.pinned import KeyRing
    from slimcast_edge.settings import load_settings
    from slimcast_edge.signing import fingerprint, public_key_from_text

    if options.code is not None or options.studio is not None:
        return _with_code(options)
    settings = load_settings(options.config)
    ring = KeyRing(settings.key_file)
    if options.remove is not None:
        ring.remove(options.remove)
    elif options.key is not None:
        key = public_key_from_text(sys.stdin.read() if options.key == "-" else options.key)
        (ring.add if options.add else ring.pin_only)(key)
        print(
            f"Pinned the studio's key {fingerprint(key)} for {settings.site}/{settings.device} "
            f"in {ring.path}."
        )
        print("Compare it with the fingerprint that `slimcast key list` shows in the studio.")
        return 0
    pinned = ring.keys()
    for key in pinned:
        print(fingerprint(key))
    if not pinned:
        print(f"No studio's key is pinned in {ring.path}: every order is refused.", file=sys.stderr)
    return 0


def _with_code(options: argparse.Namespace) -> int:
    from slimcast_edge.enrolment import enrol

    if options.code is None or options.studio is None:
        raise SettingsError(
            "A code needs the studio's address, and the other way round: "
            "slimcast-edge enroll --studio http://HOST:8501 --code CODE"
        )
    _check_config(options)
    code = sys.stdin.readline().strip() if options.code == "-" else options.code
    done = enrol(options.config, options.studio, code, keep_other_keys=options.add)
    print(
        f"Enrolled as {done.site}/{done.device}: obeys the studio {done.fingerprint}, "
        f"talks to the broker {done.broker}."
    )
    for warning in done.warnings:
        print(f"slimcast-edge: {warning}", file=sys.stderr)
    config = f" --config {options.config}" if options.config else ""
    print(f"Kept in {done.folder}. Start the client, or restart one that runs: slimcast-edge run{config}")
    return 0


def _check_config(options: argparse.Namespace) -> None:
    """Stop before the code is used up for a state folder at which the installed client never looks."""
    with contextlib.suppress(OSError):
        if options.config is None and INSTALLED_CONFIG.exists():
            raise SettingsError(
                f"The client of this device has its settings in {INSTALLED_CONFIG}. Enrol it with them: sudo "
                f"-u slimcast slimcast-edge enroll --config {INSTALLED_CONFIG} --studio {options.studio} "
                "--code CODE"
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--config", type=Path, help="settings of the camera")
    parser.add_argument(
        "--studio", metavar="URL", help="where the studio is, such as http://studio.local:8501"
    )
    parser.add_argument("--code", help="one-time code that the studio shows; - reads stdin")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--key", metavar="BASE64", help="pin this key, as `slimcast key` prints it; - reads stdin"
    )
    what.add_argument("--remove", metavar="FINGERPRINT", help="unpin a key")
    what.add_argument(
        "--list", action="store_true", help="print the fingerprints of the pinned keys (default)"
    )
    parser.add_argument("--add", action="store_true", help="keep the keys that are pinned already")
