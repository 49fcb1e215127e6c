"""One artifact to many devices: how long it takes, and what it costs the broker.

    python benchmarks/fleet_rollout.py [--devices 30] [--megabytes 14] [--broker mosquitto] [--json]

Real clients with a synthetic camera, several as threads of one process. Two times: until the last device has
the whole file with its hash checked, and until it is active on all, which holds one trial process for each
device as well (on one machine they wait for each other; in a fleet each has its own processor). The broker's
traffic for chunks is what the hub has sent, over the artifact's size: every device listens to the same copy.
"""

import argparse
import json
import sys
import time

from fleet_hub import table, wait, wait_online
from fleetstudio import BROKERS, clients, finish, studio

from slimcast_edge.bench import describe_machine, load
from slimcast_edge.wire import CHUNK_BYTES, DeviceState
from support_artifacts import make_artifact

_HAVE_IT = {DeviceState.WARMING, DeviceState.PROBATION, DeviceState.ACTIVE}


def main() -> int:
    """Measure and print; 1 when a device did not end up with the artifact."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=30)
    parser.add_argument("--megabytes", type=float, default=14.0)
    parser.add_argument("--processes", type=int, default=3, help="processes that the clients share")
    parser.add_argument("--broker", choices=BROKERS, default=BROKERS[-1])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    result = measure(options)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0 if result["active"] == options.devices else 1


def measure(options: argparse.Namespace) -> dict:
    """Roll out once and return the figures."""
    camera = {"fps": 2.0, "width": 96, "height": 64}
    content = make_artifact(name="large", bias=0.5, ballast_bytes=int(options.megabytes * 1e6))
    with (
        studio(options.broker) as made,
        clients(made.meeting, options.devices, min(options.processes, options.devices), **camera) as running,
    ):
        names = wait_online(made.hub, options.devices)
        sha256 = made.store.artifacts.put(content)
        started = time.monotonic()
        revisions = {name: made.hub.publish(name, sha256, "large") for name in names}
        ordered_s = time.monotonic() - started

        def count(states, settled: bool = False) -> int:
            reports = [one.reported for one in made.hub.devices()]
            return sum(
                one is not None and (one.state in states or (settled and one.state.is_settled()))
                for one in reports
                if one and one.revision >= min(revisions.values())
            )

        wait(lambda: count(_HAVE_IT, settled=True) == options.devices, "the file to be everywhere")
        delivered_s = time.monotonic() - started
        wait(lambda: count(set(), settled=True) == options.devices, "all devices to be done")
        active_s = time.monotonic() - started
        active = sum(one.reported.active == sha256 for one in made.hub.devices())
        served = made.hub.counters.get("chunks_served", 0)
        counters = {name: value for name, value in made.hub.counters.items() if name.startswith("chunks_")}
        finish(running)
    chunks = -(-len(content) // CHUNK_BYTES)
    return {
        "machine": describe_machine(),
        "load": round(load(), 1),
        "broker": options.broker,
        "devices": options.devices,
        "processes": min(options.processes, options.devices),
        "artifact_bytes": len(content),
        "orders_s": round(ordered_s, 2),
        "delivered_s": round(delivered_s, 2),
        "active_s": round(active_s, 2),
        "active": active,
        "chunk_traffic_over_size": round(served / chunks, 2),
        "chunks": chunks,
        **counters,
    }


if __name__ == "__main__":
    sys.exit(main())
