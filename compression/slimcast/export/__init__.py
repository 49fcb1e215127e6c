"""From a torch network to an artifact: one self-describing ONNX file."""
