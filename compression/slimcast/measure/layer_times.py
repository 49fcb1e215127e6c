"""How long each layer of an artifact takes on this machine: ``python -m slimcast.measure.layer_times FILE``.

The process that times prints one JSON line; `layer_times` starts it, and knows which kernel is which layer.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx

from slimcast.errors import StepError
from slimcast_edge.bench import NetworkTime, describe_machine, is_busy, measure_kernels
from slimcast_edge.errors import SlimcastError

_TIMEOUT_S = 180.0
_WEIGHTED = re.compile("Conv|Gemm|MatMul")
_TOKEN = re.compile(r"(_token_\d+)$")


@dataclass(frozen=True, kw_only=True)
class LayerTimes:
    """Times of an artifact's layers, batch 1, one thread, ms.

    Attributes:
        layers: by name of the convolution or linear layer; an activation or sum in its kernel is included.
        others: everything between them, by operator: conversions of layouts and numbers, sums, pooling.
        whole_ms: median of one execution without the profiler.
        busy: whether others computed on this machine meanwhile: then the figures are too large.

    """

    layers: dict[str, float]
    others: dict[str, float]
    whole_ms: float
    runs: int
    machine: str
    busy: bool

    @property
    def sum_ms(self) -> float:
        """Time of all kernels together."""
        return sum(self.layers.values()) + sum(self.others.values())


def layer_times(content: bytes) -> LayerTimes:
    """Time an artifact in a process of its own; takes some seconds.

    Raises:
        StepError: it cannot be opened or run there.

    """
    with tempfile.TemporaryDirectory(prefix="slimcast-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        document = _child(path)
    busy = bool(document.pop("busy"))
    kernels = tuple((str(name), str(operator), float(ms)) for name, operator, ms in document.pop("kernels"))
    network = NetworkTime(kernels=kernels, **document)
    layers, others = assign(network, onnx.load_from_string(content).graph)
    return LayerTimes(
        layers=layers,
        others=others,
        whole_ms=network.whole_ms,
        runs=network.runs,
        machine=describe_machine(),
        busy=busy,
    )


def assign(network: NetworkTime, graph: onnx.GraphProto) -> tuple[dict[str, float], dict[str, float]]:
    """Return the times of layers, by name and in the graph's order, and of all else, by operator.

    The runtime calls a kernel by the node that it was, or by the value that it leaves: of a convolution with
    its sum and activation, that of the activation. From there the way leads back to the layer.
    """
    order = {node.name: number for number, node in enumerate(graph.node) if node.name}
    makers = {output: node for node in graph.node for output in node.output}
    weighted = [(name, ms) for name, operator, ms in network.kernels if _WEIGHTED.search(operator)]
    found: dict[str, float] = dict.fromkeys(order, 0.0)
    taken: set[str] = set()
    open_: list[tuple[list[str], str, float]] = []
    for name, ms in weighted:
        ways = _layers_behind(name, order, makers)
        if len(ways) == 1:
            found[ways[0]] += ms
            taken.add(ways[0])
        else:
            open_.append((ways, name, ms))
    for ways, name, ms in open_:
        # A sum joins two ways; the kernel is that of the later one which no other kernel is.
        left = sorted((way for way in ways if way not in taken), key=lambda way: order[way])
        layer = left[-1] if left else name
        taken.add(layer)
        found[layer] = found.get(layer, 0.0) + ms
    others: dict[str, float] = defaultdict(float)
    for _name, operator, ms in network.kernels:
        if not _WEIGHTED.search(operator):
            others[operator] += ms
    return {name: ms for name, ms in found.items() if name in taken}, dict(others)


def _layers_behind(name: str, order: dict[str, int], makers: dict[str, onnx.NodeProto]) -> list[str]:
    """Return the layers that a kernel of this name may be: one, or those that a sum joins."""
    plain = _TOKEN.sub("", name.removeprefix("fused "))
    if plain in order:
        return [plain]
    seen, found, todo = set(), [], [plain.removesuffix("_nchwc")]
    while todo:
        value = todo.pop()
        node = makers.get(value)
        if node is None or value in seen:
            continue
        seen.add(value)
        if _WEIGHTED.search(node.op_type) and node.name:
            found.append(node.name)
        else:
            todo += node.input
    return found


def _child(path: Path) -> dict:
    command = [sys.executable, "-m", "slimcast.measure.layer_times", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        document: dict = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise StepError(f"Its layers were not timed within {_TIMEOUT_S:.0f} s.") from error
    except (ValueError, IndexError) as error:
        raise StepError(f"The process that timed its layers ended: {done.stderr.strip()[-300:]}") from error
    if "error" in document:
        raise StepError(f"Its layers cannot be timed: {document['error']}")
    return document


def main(path: str) -> int:
    """Time the artifact and print the figures."""
    try:
        network = measure_kernels(Path(path).read_bytes())
    except SlimcastError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps(asdict(network) | {"busy": is_busy()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
