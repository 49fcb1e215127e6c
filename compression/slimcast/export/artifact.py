"""Put a network's description into its ONNX file."""

import onnx

from slimcast.export.slim import slim
from slimcast_edge.artifact import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, ArtifactInfo


def pack(model: onnx.ModelProto, info: ArtifactInfo) -> bytes:
    """Return the artifact: the slimmed graph and its description. The same input gives the same bytes."""
    out = slim(model, keep=(INPUT_NAME, OUTPUT_NAME))
    onnx.helper.set_model_props(out, {METADATA_KEY: info.to_json()})
    content = out.SerializeToString(deterministic=True)
    onnx.checker.check_model(content)  # would write the model once more for itself
    return content
