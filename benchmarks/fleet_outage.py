"""A broker that is away for a while: how soon every device is back, and what is wrongly believed of it.

    python benchmarks/fleet_outage.py [--devices 10] [--seconds 30] [--json]

Mosquitto is killed and started again after `--seconds`; real clients with a synthetic camera. Back: online
for the hub, and a frame has come that was classified after the broker's return. Believed wrongly: a device
that is back and is then called offline within the 20 s that follow (a stale will, or two sessions of one
device that push each other out).
"""

import argparse
import json
import sys
import time

from fleet_hub import STREAM, table, wait, wait_online
from fleetstudio import Studio, clients, studio

from slimcast_edge.bench import describe_machine, load

WATCHED_S = 20.0


def main() -> int:
    """Measure and print; 1 when a device does not come back, or is wrongly called offline."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=30.0, help="for which the broker is away")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    camera = {"fps": options.fps, "width": 320, "height": 240}
    with studio("mosquitto") as made, clients(made.meeting, options.devices, 2, **camera):
        result = measure(made, options)
    document = {"machine": describe_machine(), "load": round(load(), 1)} | result
    print(json.dumps(document, indent=2) if options.json else table(document))
    return 1 if result["believed_offline"] else 0


def measure(made: Studio, options: argparse.Namespace) -> dict:
    """Take the broker away once and return the figures."""
    names = wait_online(made.hub, options.devices)
    classified: dict[str, float] = {}

    def took(packet) -> None:
        classified[packet.device] = packet.result.classified_at

    for name in names:
        made.hub.set_stream(name, STREAM)
        made.hub.watch(name, "benchmark", took)
    wait(lambda: len(classified) == options.devices, "every device's first frame")
    made.broker.stop()
    time.sleep(options.seconds)
    returned, started = time.time(), time.monotonic()
    made.broker.start()
    back: dict[str, float] = {}

    def all_back() -> bool:
        for one in made.hub.devices():
            if one.name not in back and one.online and classified[one.name] > returned:
                back[one.name] = time.monotonic() - started
        return len(back) == options.devices

    wait(all_back, "all devices to be back")
    believed_offline, end = set(), time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        believed_offline |= {one.name for one in made.hub.devices() if not one.online}
        time.sleep(0.05)
    ordered = sorted(back.values())
    return {
        "devices": options.devices,
        "away_s": options.seconds,
        "first_back_s": round(ordered[0], 2),
        "last_back_s": round(ordered[-1], 2),
        "believed_offline": sorted(believed_offline),
    }


if __name__ == "__main__":
    sys.exit(main())
