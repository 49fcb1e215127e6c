"""Make an ONNX file as small as its content: short names, each constant once, nothing that nobody reads."""

import hashlib

import onnx
from onnx import numpy_helper

_ONES = {"dilations", "group", "strides"}
"""Attributes of a convolution whose value is 1 where they are left out."""
_KEPT_FIELDS = ("ir_version", "producer_name", "producer_version", "domain", "model_version")


def slim(model: onnx.ModelProto, *, keep: tuple[str, ...]) -> onnx.ModelProto:
    """Return a copy with values named by their order, equal constants merged and descriptions dropped.

    Args:
        model: is left as it is.
        keep: names of values that stay (inputs and outputs of the graph).

    Names of nodes that compute with weights stay too: they are the layers' names, which people read.
    """
    out = _without_weights(model)
    graph = out.graph
    names = _merge_constants(model.graph, graph) | {name: name for name in keep}
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        if node.op_type not in {"Conv", "Gemm", "MatMul"}:
            node.name = ""
        _drop_defaults(node)
        for values in (node.input, node.output):
            for index, value in enumerate(values):
                if value:
                    values[index] = names.setdefault(value, f"t{len(names):x}")
    _keep_used_opsets(out)
    return out


def _drop_defaults(node: onnx.NodeProto) -> None:
    """Drop what a convolution says although it goes without saying: fifty bytes of each."""
    if node.op_type != "Conv":
        return
    kept = [
        item for item in node.attribute if not (item.name in _ONES and set(item.ints) <= {1} and item.i <= 1)
    ]
    del node.attribute[:]
    node.attribute.extend(kept)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of what belongs into the file but the constants, which may be half a gigabyte."""
    out = onnx.ModelProto()
    for field in _KEPT_FIELDS:
        if model.HasField(field):
            setattr(out, field, getattr(model, field))
    out.opset_import.extend(model.opset_import)
    out.graph.name = model.graph.name
    out.graph.node.extend(model.graph.node)
    out.graph.input.extend(model.graph.input)
    out.graph.output.extend(model.graph.output)
    return out


def _merge_constants(graph: onnx.GraphProto, out: onnx.GraphProto) -> dict[str, str]:
    """Put each constant that is used into `out` once, and return the new names."""
    used = {value for node in graph.node for value in node.input}
    new_names: dict[str, str] = {}
    by_content: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    for item in graph.initializer:
        if item.name not in used:
            continue
        array = numpy_helper.to_array(item)
        content = (item.data_type, tuple(item.dims), hashlib.sha256(array.tobytes()).digest())
        if content not in by_content:
            by_content[content] = f"w{len(by_content):x}"
            # Raw bytes: the typed fields of a tensor take up to five bytes for a small integer.
            out.initializer.append(numpy_helper.from_array(array, by_content[content]))
        new_names[item.name] = by_content[content]
    return new_names


def _keep_used_opsets(model: onnx.ModelProto) -> None:
    used = {node.domain for node in model.graph.node} | {""}
    opsets = [item for item in model.opset_import if item.domain in used]
    kept = [(item.domain, item.version) for item in opsets]
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in kept)
