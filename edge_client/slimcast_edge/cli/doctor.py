"""The command ``slimcast-edge doctor``."""

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slimcast_edge.errors import SettingsError

if TYPE_CHECKING:
    from slimcast_edge.doctor import Finding


def doctor(options: argparse.Namespace) -> int:
    """Check everything and say what to do; 1 where there is a problem."""
    # What the parts log on their way is said better by the findings.
    logging.getLogger("slimcast_edge").addHandler(logging.NullHandler())
    findings = []
    for finding in _examine(options):
        findings.append(finding)
        if not options.json:
            print(finding.to_text(), flush=True)
    problems = sum(not finding.ok for finding in findings)
    if options.json:
        print(json.dumps({"ok": not problems, "findings": [finding.to_json() for finding in findings]}))
    elif problems:
        print(f"{problems} of {len(findings)} checks found a problem.", file=sys.stderr)
    return int(problems > 0)


def _examine(options: argparse.Namespace) -> Iterator["Finding"]:
    from slimcast_edge.doctor import examine
    from slimcast_edge.doctor.finding import bad, good
    from slimcast_edge.settings import load_settings

    try:
        settings = load_settings(options.config)
    except SettingsError as error:
        how = "Correct it. `slimcast-edge init` writes a file with every setting explained."
        yield bad("settings", "; ".join(map(str.strip, str(error).splitlines())).replace(":; ", ": "), how)
        return
    where = str(options.config) if options.config else "the environment"
    yield good("settings", f"{where}: {settings.site}/{settings.device}")
    yield from examine(settings)
