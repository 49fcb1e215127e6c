import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from slimcast_edge.artifact_file import check_file, read_info
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.onnx_reader import MAX_DEPTH, read_onnx
from support_artifacts import finish, make_artifact, make_model

CONTENT = make_artifact()
quick = settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def reason(content):
    with pytest.raises(ArtifactError) as caught:
        check_file(content)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_it_reads_what_the_onnx_library_wrote():
    summary = read_onnx(CONTENT)
    model = onnx.load_from_string(CONTENT)
    assert summary.operators == {(node.domain, node.op_type) for node in model.graph.node}
    assert summary.opset == 17
    assert summary.ir_version == model.ir_version
    assert summary.metadata == {prop.key: prop.value for prop in model.metadata_props}
    assert not summary.has_external_data
    assert read_info(CONTENT).name == "quadrants"


def subgraph(operator="Neg", domain="", tensor=None):
    node = helper.make_node(operator, ["x"], ["y"], domain=domain)
    constant = [helper.make_node("Constant", [], ["k"], value=tensor)] if tensor is not None else []
    return helper.make_graph([*constant, node], "inner", [], [])


def external():
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="elsewhere.bin")
    return tensor


def branch(graph):
    return helper.make_node("If", ["c"], ["r"], then_branch=graph, else_branch=subgraph())


def in_function(node):
    model = make_model()
    function = helper.make_function("com.microsoft", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
    model.functions.append(function)
    return model


def with_node(node):
    model = make_model()
    model.graph.node.append(node)
    return model


def sparse_external():
    model = make_model()
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(external())
    return model


@pytest.mark.parametrize(
    "model",
    [
        with_node(branch(subgraph("Evil", "evil.example"))),
        with_node(branch(helper.make_graph([branch(subgraph("Evil", "x"))], "g", [], []))),
        in_function(helper.make_node("Evil", ["x"], ["y"], domain="evil.example")),
        in_function(branch(subgraph("Evil", "evil.example"))),
    ],
)
def test_a_foreign_operator_is_found_wherever_it_hides(model):
    assert reason(finish(model, read_info(CONTENT))) is Refusal.UNKNOWN_OPERATOR


@pytest.mark.parametrize(
    "model",
    [
        with_node(helper.make_node("Constant", [], ["k"], value=external())),
        with_node(branch(subgraph(tensor=external()))),
        in_function(branch(subgraph(tensor=external()))),
        sparse_external(),
    ],
)
def test_external_data_is_found_wherever_it_hides(model):
    assert reason(finish(model, read_info(CONTENT))) is Refusal.EXTERNAL_DATA


def test_external_data_that_only_the_location_betrays():
    model = make_model()
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    assert reason(finish(model, read_info(CONTENT))) is Refusal.EXTERNAL_DATA


def test_an_onnx_file_that_is_no_artifact():
    assert reason(make_model().SerializeToString()) is Refusal.NOT_AN_ARTIFACT


def test_a_description_that_appears_twice():
    model = onnx.load_from_string(CONTENT)
    model.metadata_props.add(key="slimcast", value="{}")
    assert reason(model.SerializeToString()) is Refusal.NOT_AN_ARTIFACT


@pytest.mark.parametrize("content", [b"", b"\x00", b"GIF89a", b"\xff" * 100, CONTENT[:-1], CONTENT[:500]])
def test_what_is_no_onnx_file(content):
    assert reason(content) is Refusal.NOT_AN_ARTIFACT


def test_a_file_that_is_not_there_or_empty(tmp_path):
    assert reason(tmp_path / "none.onnx") is Refusal.NOT_AN_ARTIFACT
    (tmp_path / "empty.onnx").touch()
    assert reason(tmp_path / "empty.onnx") is Refusal.NOT_AN_ARTIFACT
    assert reason(tmp_path) is Refusal.NOT_AN_ARTIFACT


def length_delimited(number, body):
    size, out = len(body), bytearray([number << 3 | 2])
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(out) + bytes([size]) + body


def test_nesting_without_end_is_refused():
    graph = b""
    for _ in range(MAX_DEPTH):
        graph = length_delimited(1, length_delimited(5, length_delimited(6, graph)))  # node, attribute, graph
    assert reason(length_delimited(7, graph)) is Refusal.NOT_AN_ARTIFACT


def test_fields_without_number_are_refused(monkeypatch):
    monkeypatch.setattr("slimcast_edge.onnx_reader.MAX_FIELDS", 1000)
    assert reason(b"\x08\x01" * 1001) is Refusal.NOT_AN_ARTIFACT


def survives(content):
    """Read the bytes: an answer or an `ArtifactError`, nothing else."""
    try:
        read_onnx(content)
        check_file(content)
    except ArtifactError:
        pass


@quick
@given(st.binary(max_size=400))
def test_random_bytes_do_no_harm(content):
    survives(content)


@quick
@given(st.binary(max_size=200))
def test_random_bytes_inside_a_graph_do_no_harm(content):
    survives(length_delimited(7, content))
    survives(length_delimited(7, length_delimited(1, length_delimited(5, content))))


@quick
@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_mutated_artifacts_do_no_harm(changes):
    content = bytearray(CONTENT)
    for at, value in changes:
        content[at] = value
    survives(bytes(content))


@quick
@given(st.integers(0, len(CONTENT)), st.integers(0, 60), st.binary(max_size=20))
def test_cut_and_spliced_artifacts_do_no_harm(at, length, inserted):
    survives(CONTENT[:at] + inserted + CONTENT[at + length :])
