"""Kill -9 at random moments of roll-outs, again and again: what is broken afterwards, and what is sent twice.

    python benchmarks/fleet_kill.py [--kills 200] [--chunks 24] [--broker mosquitto] [--seed 0] [--json]

A real client in a process of its own, a real hub and broker. Each time a model is published, the client is
killed at a random moment (half of them spread over the time of an undisturbed roll-out, half over the chunks)
and started again; when it has settled, its files are hashed and it must answer a frame with the model that it
reports. Chunks that were on its disk when it died must not be sent again (`kept_sent_again`); those that were
on their way at that moment are (`sent_twice`, at most a window of eight for each kill).
"""

import argparse
import json
import statistics
import sys
from dataclasses import asdict

from fleet_hub import table
from fleetstudio import BROKERS, studio

from slimcast_edge.bench import describe_machine, load
from support_edge import Device
from support_kill import KillLoop


def main() -> int:
    """Kill and print; 1 when a kill did harm."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=24, help="size of each model, in chunks of 128 KiB")
    parser.add_argument("--broker", choices=BROKERS, default=BROKERS[-1])
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with studio(options.broker) as made:
        device = Device(made.folder, made.settings.effective_broker_url, key=made.meeting.key)
        loop = KillLoop(made.hub, made.store, device, chunks=options.chunks, seed=options.seed)
        try:
            loop.begin()
            for number in range(1, options.kills + 1):
                loop.once(number)
                print(f"\rkill {number} of {options.kills}", end="", file=sys.stderr, flush=True)
        finally:
            device.stop()
    print(file=sys.stderr)
    harm = loop.harm
    document = {"machine": describe_machine(), "load": round(load(), 1), "broker": options.broker}
    document |= {"undisturbed_s": round(loop.usual_s, 2)} | asdict(harm)
    document |= {"states": dict(harm.states), "recovery_s": round(statistics.median(harm.recovery_s), 2)}
    print(json.dumps(document, indent=2) if options.json else table(document))
    return 1 if harm.without_model or harm.corrupt_files or harm.kept_sent_again else 0


if __name__ == "__main__":
    sys.exit(main())
