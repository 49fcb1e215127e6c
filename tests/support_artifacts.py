"""Makes small real artifacts: networks that classify without training, so that tests know the answer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slimcast_edge.artifact import METADATA_KEY, ArtifactInfo, Golden, GoldenSample, InputSpec, NumericKind

OPSET = 17
IR_VERSION = 8
LABELS = ("dark", "bright", "left", "right")


def make_artifact(
    *,
    name: str = "quadrants",
    side: int = 32,
    channels: int = 1,
    bias: float = 0.0,
    golden: bool = True,
    tolerance: float = 1e-3,
    ballast_bytes: int = 0,
    numeric_kind: NumericKind = NumericKind.FLOAT32,
    labels: Sequence[str] = LABELS,
) -> bytes:
    """Return an artifact that tells dark, bright, left-heavy and right-heavy images apart.

    Args:
        name: what it calls itself; another name is another sha256.
        side: side of the square input, pixels.
        channels: 1 or 3.
        bias: added to every logit: a harmless difference between two artifacts.
        golden: whether golden samples go in.
        tolerance: of the golden samples.
        ballast_bytes: an unused initializer of this size, so that a download takes several chunks.
        numeric_kind: what the description claims.
        labels: what it calls them; in another order it takes one for another.
    """
    model = make_model(side=side, channels=channels, bias=bias, ballast_bytes=ballast_bytes)
    samples = [
        GoldenSample.from_pixels(image, run_reference(image, bias=bias))
        for image in sample_images(side, channels)
    ]
    info = ArtifactInfo(
        name=name,
        labels=list(labels),
        input=InputSpec(height=side, width=side, channels=1 if channels == 1 else 3),
        numeric_kind=numeric_kind,
        opset=OPSET,
        recipe_hash="0" * 64,
        measurements={"accuracy": 1.0},
        golden=Golden(samples=samples if golden else [], tolerance=tolerance),
    )
    return finish(model, info)


def finish(model: onnx.ModelProto, info: ArtifactInfo) -> bytes:
    """Put the description into the model and return the file's bytes."""
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=info.to_json())
    return model.SerializeToString()


def make_model(
    *, side: int = 32, channels: int = 1, bias: float = 0.0, ballast_bytes: int = 0
) -> onnx.ModelProto:
    """Return the network alone: a convolution that averages each half, then a linear layer."""
    half = side // 2
    weights = {
        # Averages over channels and over each half of the width: (1, C, side, side/2), stride side/2.
        "kernel": np.full((1, channels, side, half), 1.0 / (channels * side * half * 255.0), np.float32),
        "mix": _mix(),
        "offset": (_offset() + bias).astype(np.float32),
        "flat": np.array([0, 2], np.int64),
    }
    if ballast_bytes:
        weights["ballast"] = np.random.default_rng(len(str(bias))).integers(
            0, 256, ballast_bytes, dtype=np.uint8
        )
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv", ["planes", "kernel"], ["halves"], strides=[side, half], kernel_shape=[side, half]
        ),
        helper.make_node("Reshape", ["halves", "flat"], ["features"]),
        helper.make_node("Gemm", ["features", "mix", "offset"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quadrants",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", side, side, channels])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(LABELS)])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def run_reference(image: np.ndarray, *, bias: float = 0.0) -> np.ndarray:
    """Compute the logits, (K,), of an image, uint8 (H, W, C), in numpy."""
    half = image.shape[1] // 2
    features = np.array([image[:, :half].mean(), image[:, half:].mean()]) / 255.0
    return (features @ _mix() + _offset() + bias).astype(np.float32)


def sample_images(side: int = 32, channels: int = 1) -> list[np.ndarray]:
    """Return one image, uint8 (side, side, C), for each of `LABELS`, in that order."""
    images = []
    for left, right in ((10, 10), (245, 245), (240, 15), (15, 240)):
        image = np.full((side, side, channels), left, np.uint8)
        image[:, side // 2 :] = right
        images.append(image)
    return images


def write_artifact(path: Path, content: bytes) -> Path:
    """Write the bytes and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _mix() -> np.ndarray:
    return np.array([[-8, 8, 12, -12], [-8, 8, -12, 12]], np.float32)  # (halves, K)


def _offset() -> np.ndarray:
    return np.array([8, -8, 0, 0], np.float32)
