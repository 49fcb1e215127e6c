"""The command line: what can be said, and which function each command calls.

Exit codes: 0 done, 1 failed, 2 wrong arguments or settings.
"""

import argparse
import contextlib
import json
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from slimcast_edge import __version__, logs, memory
from slimcast_edge.cli import enroll
from slimcast_edge.cli.doctor import doctor
from slimcast_edge.errors import SettingsError, SignatureError, SlimcastError

_SLOWER = 1.1
"""From the first quarter of a measurement to the last; below it is chance."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (SettingsError, SignatureError) as error:
        print(f"slimcast-edge: {error}", file=sys.stderr)
        return 2
    except SlimcastError as error:
        print(f"slimcast-edge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    memory.share_one_heap()  # before NumPy and ONNX Runtime start their threads
    from slimcast_edge.client import Client
    from slimcast_edge.client.local_view import LocalView
    from slimcast_edge.preview import open_window
    from slimcast_edge.settings import load_settings

    settings = load_settings(options.config)
    logs.configure(settings.log_format, "debug" if options.verbose else settings.log_level)
    view = LocalView(open_window(options.preview)) if options.preview else None
    client = Client(settings, also=view.put if view else None)
    # A SimpleQueue may be put into from a signal handler, whatever this thread is doing just then.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: signals.put(received))
    try:
        client.start()
        if view is not None:
            view.run(lambda: not signals.empty())
        _wait(signals)
    finally:
        client.stop()
    return 0


def _wait(signals: "queue.SimpleQueue[int]") -> None:
    """Wait for a signal, and look up now and then: one given to another thread does not wake this one."""
    while True:
        with contextlib.suppress(queue.Empty):
            signals.get(timeout=0.5)
            return


def _bench(options: argparse.Namespace) -> int:
    from slimcast_edge.bench import describe_machine, measure_latency
    from slimcast_edge.runtime import RuntimeChoice
    from slimcast_edge.telemetry import rss_mb, temperature_c, throttled

    runtime = RuntimeChoice.from_options(options).open(options.model)
    before_c, was_throttled = temperature_c(), throttled()
    latency = measure_latency(runtime, seconds=options.seconds)
    if options.json:
        document = {
            "provider": runtime.provider,
            "threads": runtime.threads,
            "latency_ms": {"p50": latency.p50_ms, "p90": latency.p90_ms, "p99": latency.p99_ms},
            "rss_mb": rss_mb(),
        }
        print(json.dumps(document))
        return 0
    size = runtime.info.input
    print(f"{runtime.info.name}: {runtime.info.numeric_kind}, {size.width}x{size.height}x{size.channels}")
    print(f"{describe_machine()}; {runtime.provider} ({runtime.reason}), {runtime.threads} thread(s)")
    print(
        f"p50 {latency.p50_ms:.3f} ms   p90 {latency.p90_ms:.3f} ms   p99 {latency.p99_ms:.3f} ms   "
        f"({latency.runs} runs of one image)   {rss_mb():.0f} MB resident"
    )
    is_throttled = bool(was_throttled or throttled())
    for line in _circumstances((before_c, temperature_c()), is_throttled, latency.slowdown):
        print(line)
    return 0


def _circumstances(
    heat_c: tuple[float | None, float | None], throttled: bool, slowdown: float
) -> Iterator[str]:
    """Yield what is to be known of a measurement beside its figures: heat before and after, and doubts."""
    from slimcast_edge.bench import is_busy

    before_c, after_c = heat_c
    if before_c is not None and after_c is not None:
        yield f"{before_c:.0f} °C before, {after_c:.0f} °C after"
    if throttled:
        yield "The board slowed itself down (heat or weak power): let it cool, then measure again."
    if slowdown > _SLOWER:
        yield f"It became {slowdown:.2f} times slower meanwhile."
    if is_busy():
        yield "Other programs compute here, too: the figures are too large."


def _init(options: argparse.Namespace) -> int:
    from slimcast_edge.template import render

    path: Path = options.file
    text = render(options.camera, dict(options.set))
    try:
        with path.open("w" if options.force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise SettingsError(f"{path} is there already. Overwrite it with --force.") from error
    except OSError as error:
        raise SettingsError(f"Cannot write {path}: {error}.") from error
    print(f"Wrote {path}. Look it through, then start with: slimcast-edge run --config {path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slimcast-edge",
        description="The Slimcast camera client: classifies camera frames and takes new models over MQTT.",
        epilog="Example: slimcast-edge init && slimcast-edge run --config edge.toml",
    )
    parser.add_argument("--version", action="version", version=f"slimcast-edge {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], int], text: str, example: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=f"Example: {example}")
        sub.set_defaults(command=command)
        return sub

    run = add("run", _run, "Classify camera frames until stopped.", "slimcast-edge run --config edge.toml")
    run.add_argument("--config", type=Path, help="settings; without it, SLIMCAST_EDGE_* variables alone")
    run.add_argument("--verbose", action="store_true", help="log more")
    run.add_argument(
        "--preview",
        nargs="?",
        const="opencv",
        metavar="WINDOW",
        help="show the picture with its answer on this device's screen (default window: opencv)",
    )

    bench = add("bench", _bench, "Measure a model's latency here.", "slimcast-edge bench model.onnx --json")
    bench.add_argument("model", type=Path, metavar="MODEL.onnx")
    bench.add_argument("--json", action="store_true", help="print one JSON document")
    bench.add_argument("--threads", type=_positive, default=1, help="threads that compute (default: 1)")
    bench.add_argument("--seconds", type=float, default=1.0, help="how long to measure (default: 1)")
    bench.add_argument("--runtime", default="onnxruntime", help="what executes the model")
    bench.add_argument("--provider", default="auto", help="auto (default), tensorrt, cuda, openvino or cpu")
    bench.add_argument("--spin", action="store_true", help="let threads wait busily between two layers")
    bench.add_argument("--engine-cache", type=Path, metavar="FOLDER", help="where compiled engines are kept")

    check = add(
        "doctor", doctor, "Check everything that a camera needs.", "slimcast-edge doctor --config edge.toml"
    )
    check.add_argument("--config", type=Path, help="settings; without it, SLIMCAST_EDGE_* variables alone")
    check.add_argument("--json", action="store_true", help="print one JSON document")

    enrolment = add(
        "enroll",
        enroll.enroll,
        "Pin the studio whose orders this camera obeys: by a one-time code, or by its key.",
        "slimcast-edge enroll --studio http://studio.local:8501 --code K7-QM2X-D4RT-9",
    )
    enroll.add_arguments(enrolment)

    init = add(
        "init", _init, "Write a settings file with every setting explained.", "slimcast-edge init edge.toml"
    )
    init.add_argument("file", type=Path, nargs="?", default=Path("edge.toml"), metavar="FILE")
    init.add_argument("--camera", default="picamera2", help="kind of camera (default: picamera2)")
    init.add_argument(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="choose a setting; can be given again",
    )
    init.add_argument("--force", action="store_true", help="overwrite a file that is there")
    return parser


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
