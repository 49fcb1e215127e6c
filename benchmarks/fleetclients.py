"""Real clients as threads of one process: the code that a camera runs, with a synthetic camera.

Started by fleetstudio.py. One JSON line on stdin says which; a second line ends them, and what each has sent
is printed as one JSON line.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from slimcast_edge.client import Client
from slimcast_edge.settings import parse_settings
from support_artifacts import LABELS, make_artifact


def main() -> None:
    """Run until told to stop."""
    request = json.loads(sys.stdin.readline())
    folder = Path(request["folder"])
    folder.mkdir(parents=True)
    # Coarse noise: its JPEG at 480 x 360 pixels has about 14 kB.
    images = np.random.default_rng(0).integers(0, 256, (len(LABELS), 12, 12), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=np.array(LABELS))
    (folder / "own.onnx").write_bytes(make_artifact(name="own"))
    running = [(name, *_start(name, folder, request)) for name in request["names"]]
    sys.stdin.readline()
    for _, client, _ in running:
        client.stop()
    print(json.dumps({name: counts for name, _, counts in running}), flush=True)


def _start(name: str, folder: Path, request: dict) -> tuple[Client, dict[str, int]]:
    state = folder / name
    state.mkdir()
    (state / "studio.pub").write_text(request["key"])
    camera = {"kind": "synthetic", "source": str(folder / "images.npz"), "fps": request["fps"]}
    camera |= {"width": request["width"], "height": request["height"]}
    document = {"device": name, "broker": request["broker"], "state_folder": str(state), "camera": camera}
    document |= {
        "model": request.get("model") or str(folder / "own.onnx"),
        "probation_s": 1.0,
        "probation_frames": 3,
        "telemetry_s": 5.0,
    }
    client = Client(parse_settings(document))
    counts = {"frames": 0, "bytes": 0, "unsent": 0}
    publish = client._connection.publish

    def counting(topic: str, payload: bytes):
        info = publish(topic, payload)
        if topic.endswith("/frame"):
            counts["frames" if info is not None else "unsent"] += 1
            counts["bytes"] += len(payload) if info is not None else 0
        return info

    client._connection.publish = counting
    client.start()
    return client, counts


if __name__ == "__main__":
    main()
