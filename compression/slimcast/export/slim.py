"""Make an ONNX file as small as its content: short names, each constant once, nothing that nobody reads."""

import onnx

_ONES = {"dilations", "group", "strides"}
"""Attributes of a convolution whose value is 1 where they are left out."""


def slim(model: onnx.ModelProto, *, keep: tuple[str, ...]) -> onnx.ModelProto:
    """Return a copy with values named by their order, equal constants merged and descriptions dropped.

    Args:
        model: is left as it is.
        keep: names of values that stay (inputs and outputs of the graph).

    Names of nodes that compute with weights stay too: they are the layers' names, which people read.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph = out.graph
    out.doc_string = graph.doc_string = ""
    del out.metadata_props[:], graph.value_info[:], out.functions[:], graph.quantization_annotation[:]
    names = _merge_constants(graph) | {name: name for name in keep}
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


def _merge_constants(graph: onnx.GraphProto) -> dict[str, str]:
    """Merge equal constants, drop unused ones, and return the new name of each."""
    used = {value for node in graph.node for value in node.input}
    new_names: dict[str, str] = {}
    by_content: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    kept: list[onnx.TensorProto] = []
    for item in graph.initializer:
        if item.name not in used:
            continue
        array = onnx.numpy_helper.to_array(item)
        content = (item.data_type, tuple(item.dims), array.tobytes())
        if content not in by_content:
            by_content[content] = f"w{len(kept):x}"
            # Raw bytes: the typed fields of a tensor take up to five bytes for a small integer.
            kept.append(onnx.numpy_helper.from_array(array, by_content[content]))
        new_names[item.name] = by_content[content]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return new_names


def _keep_used_opsets(model: onnx.ModelProto) -> None:
    used = {node.domain for node in model.graph.node} | {""}
    opsets = [item for item in model.opset_import if item.domain in used]
    kept = [(item.domain, item.version) for item in opsets]
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in kept)
