"""Dynamic int8 with ONNX Runtime's quantizer: linear layers store integers and quantize their own input.

The range of each input is found while it is there, so nothing is calibrated. Convolutions stay in float: ONNX
Runtime has no fast kernel for them in this form.
"""

import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization import quantize_dynamic as _quantize

from slimcast.errors import StepError
from slimcast.quantize.workspace import Workspace, quiet
from slimcast.reporting import Reporter

_LINEAR = ("MatMul", "Gemm")
_WORTH_IT = 0.5


def quantize_dynamic(model: onnx.ModelProto, *, reporter: Reporter) -> onnx.ModelProto:
    """Return the network with linear layers in int8.

    Args:
        model: float32, as `export_onnx` writes it; is left as it is.
        reporter: is told when there is little to gain.

    Raises:
        StepError: the network has no linear layers, or the quantizer fails.
    """
    stored = {item.name: _size(item) for item in model.graph.initializer}
    linear = sum(
        stored.get(name, 0) for node in model.graph.node if node.op_type in _LINEAR for name in node.input
    )
    if not linear:
        raise StepError("Dynamic quantization is for linear layers, and this network has none. Use static.")
    share = linear / sum(stored.values())
    if share < _WORTH_IT:
        reporter.log(
            f"Linear layers hold {share:.0%} of the weights; the rest stays in float. Static quantization "
            "makes this network smaller and faster.",
            "warning",
        )
    with Workspace() as folder:
        source, target = folder.write(model, "float.onnx"), folder.path("int8.onnx")
        try:
            with quiet():
                _quantize(
                    source,
                    target,
                    op_types_to_quantize=list(_LINEAR),
                    per_channel=True,
                    weight_type=QuantType.QInt8,
                )
        except Exception as error:  # the quantizer raises whatever its parts raise
            raise StepError(f"ONNX Runtime's dynamic quantizer failed: {error}") from error
        return onnx.load(target)


def _size(tensor: onnx.TensorProto) -> int:
    size = 1
    for side in tensor.dims:
        size *= side
    return size
