"""Frames of many devices into one hub: latency, losses, memory.

    python benchmarks/fleet_hub.py [--devices 100] [--fps 5] [--minutes 5] [--broker mosquitto] [--json]

Each device is the real client with a synthetic camera and a small model. A hundred processes do not fit into
two cores, so several clients run as threads of one process (`--processes`); a client that does not come to
its frame rate for that reason sends fewer frames, which the figures say. Lost: sent by a client (accepted by
its MQTT library) and not received by the hub. Latency: from the model's answer (`classified_at`) to the hub's
callback; clients and hub share a clock.
"""

import argparse
import json
import sys
import time
from array import array

import psutil
from fleetstudio import BROKERS, clients, finish, studio

from slimcast_edge.bench import describe_machine, load
from slimcast_edge.wire import StreamSettings

SAMPLE_S = 2.0
SETTLE_S = 3.0
STREAM = StreamSettings(max_fps=240, quality=82, adapt=False)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=4, help="processes that the clients share")
    parser.add_argument("--broker", choices=BROKERS, default=BROKERS[-1])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    result = measure(options)
    print(json.dumps(result, indent=2) if options.json else table(result))
    return 0


def measure(options: argparse.Namespace) -> dict:
    """Watch all devices for a while, and return the figures."""
    latencies, sizes = array("d"), array("d")  # not lists: their growth is no memory of the hub
    received, memory = {}, []

    def took(packet) -> None:
        latencies.append(1000 * (packet.received_at - packet.result.classified_at))
        sizes.append(len(packet.jpeg))
        received[packet.device] = received.get(packet.device, 0) + 1

    camera = {"fps": options.fps, "width": 480, "height": 360}
    with (
        studio(options.broker) as made,
        clients(made.meeting, options.devices, min(options.processes, options.devices), **camera) as running,
    ):
        names = wait_online(made.hub, options.devices)
        for name in names:
            made.hub.set_stream(name, STREAM)
        stops = [made.hub.watch(name, "benchmark", took) for name in names]
        own = psutil.Process()
        wait(lambda: len(received) == options.devices, "every device's first frame")
        started, begun, cpu_s = time.monotonic(), sum(received.values()), sum(own.cpu_times()[:2])
        skipped = len(latencies)
        while time.monotonic() < started + 60 * options.minutes:
            time.sleep(SAMPLE_S)
            memory.append(own.memory_info().rss / 1e6)
        seconds = time.monotonic() - started
        frames = sum(received.values()) - begun
        cpu_s = sum(own.cpu_times()[:2]) - cpu_s
        for stop in stops:
            stop()
        time.sleep(SETTLE_S)  # what is on its way arrives
        sent = finish(running)
        counters = made.hub.counters
        arrived = counters["frames"]  # those that came when nobody watched any more among them
    total_sent = sum(one["frames"] for one in sent.values())
    ordered = sorted(latencies[skipped:])
    tenth = max(1, len(memory) // 10)
    return {
        "machine": describe_machine(),
        "load": round(load(), 1),
        "broker": options.broker,
        "devices": options.devices,
        "processes": min(options.processes, options.devices),
        "seconds": round(seconds, 1),
        "frames_per_second": round(frames / seconds, 1),
        "asked_frames_per_second": options.devices * options.fps,
        "frame_bytes": round(sum(sizes) / len(sizes)),
        "sent": total_sent,
        "received": arrived,
        "lost": total_sent - arrived,
        "dropped_overflow": counters.get("dropped_overflow", 0),
        "dropped_malformed": counters.get("dropped_malformed", 0),
        "latency_ms": {
            f"p{share}": round(ordered[int(len(ordered) * share / 100)], 1) for share in (50, 95, 99)
        },
        "hub_cpu_percent_of_one_core": round(100 * cpu_s / seconds, 1),
        "hub_memory_start_mb": round(sum(memory[:tenth]) / tenth, 1),
        "hub_memory_end_mb": round(sum(memory[-tenth:]) / tenth, 1),
    }


def wait_online(hub, count: int) -> list[str]:
    """Return the names of all devices once all are online."""
    wait(
        lambda: sum(one.online and one.reported is not None for one in hub.devices()) == count, "all devices"
    )
    return [one.name for one in hub.devices()]


def wait(condition, what: str, timeout_s: float = 300.0) -> None:
    """Wait for a condition; end the benchmark when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"fleet benchmark: waited {timeout_s:.0f} s in vain for {what}.")
        time.sleep(0.02)


def table(result: dict) -> str:
    """Return the figures as lines."""
    return "\n".join(f"{name:<30}{value}" for name, value in result.items())


if __name__ == "__main__":
    sys.exit(main())
