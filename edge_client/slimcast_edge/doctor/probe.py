"""What is tried out of harm's way: ``python -m slimcast_edge.doctor.probe camera|runtime``, options on stdin.

The last line on stdout is the answer as JSON.
"""

import json
import sys
import time
from importlib import metadata
from typing import Any

from slimcast_edge.camera.catalog import open_camera
from slimcast_edge.errors import CameraAway, SlimcastError

_LOOK_S = 2.0
_MAX_FRAMES = 60


def look(options: dict[str, Any]) -> dict[str, Any]:
    """Open a camera and look at its frames: size, rate, brightness of the last one (0 to 255)."""
    camera = open_camera(options.pop("kind"), **options)
    try:
        frame, first = camera.read(), time.monotonic()  # the first one may take long
        count = 0
        while count < _MAX_FRAMES and time.monotonic() - first < _LOOK_S:
            frame = camera.read()
            count += 1
        seconds = max(1e-6, time.monotonic() - first)
    finally:
        camera.close()
    height, width = frame.pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "fps": count / seconds,
        "brightness": float(frame.pixels.mean()),
    }


def load_runtime(options: dict[str, Any]) -> dict[str, Any]:
    """Load what executes models, and say which version it is."""
    from slimcast_edge.runtime import RUNTIMES

    RUNTIMES[options["name"]].load()
    import onnxruntime

    return {
        "version": metadata.version("onnxruntime"),
        "providers": [str(name) for name in onnxruntime.get_available_providers()],
    }


def main() -> int:
    """Answer; whatever goes wrong is an answer, too."""
    probes = {"camera": look, "runtime": load_runtime}
    try:
        answer = probes[sys.argv[1]](json.loads(sys.stdin.read()))
    except SlimcastError as error:
        answer = {
            "error": str(error),
            "not_installed": isinstance(error.__cause__, ImportError),
            "away": isinstance(error, CameraAway),
        }
    except Exception as error:  # a vendor's library can raise anything
        answer = {"error": f"{type(error).__name__}: {error}"[:500]}
    print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
