"""Which execution provider opens a model, why, and what happens when it cannot."""

import logging

import numpy as np
import onnxruntime
import pytest

from slimcast_edge.artifact import NumericKind
from slimcast_edge.deploy.trial import check_golden
from slimcast_edge.errors import RuntimeFailure, SettingsError
from slimcast_edge.runtime import RuntimeChoice, open_runtime
from slimcast_edge.runtime.providers import CPU, PROVIDERS, attempts
from slimcast_edge.settings import parse_settings
from support_artifacts import make_artifact, run_reference, sample_images

TRT, CUDA, OPENVINO = "TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider"
ALL = [TRT, CUDA, OPENVINO, CPU]
FLOAT, INT8, HALF = NumericKind.FLOAT32, NumericKind.INT8, NumericKind.FLOAT16


def tried(wanted, kind, available):
    found = attempts(wanted, kind, available=available, threads=2, cache=None)
    return [attempt.provider for attempt in found]


@pytest.mark.parametrize(
    ("wanted", "kind", "available", "expected"),
    [
        ("auto", FLOAT, [CPU], [CPU]),
        ("auto", FLOAT, ALL, [TRT, CUDA, OPENVINO, CPU]),
        ("auto", FLOAT, [CUDA, CPU], [CUDA, CPU]),
        ("auto", INT8, [CUDA, CPU], [CPU]),
        ("auto", INT8, ALL, [TRT, OPENVINO, CPU]),
        ("cpu", FLOAT, ALL, [CPU]),
        ("cuda", INT8, ALL, [CUDA, CPU]),
        ("openvino", FLOAT, ALL, [OPENVINO, CPU]),
        ("tensorrt", FLOAT, [CPU], [CPU]),
    ],
)
def test_what_is_tried_in_which_order(wanted, kind, available, expected):
    assert tried(wanted, kind, available) == expected


@pytest.mark.parametrize(
    ("wanted", "kind", "available", "why"),
    [
        ("cpu", FLOAT, ALL, "the setting says"),
        ("tensorrt", FLOAT, [CPU], "built without 'tensorrt'"),
        ("auto", INT8, [CUDA, CPU], "no integer kernels"),
        ("auto", FLOAT, [CPU], "no other provider"),
        ("auto", FLOAT, ["AzureExecutionProvider", CPU], "no other provider"),
    ],
)
def test_the_cpu_says_why_it_was_chosen(wanted, kind, available, why):
    assert why in attempts(wanted, kind, available=available, threads=1, cache=None)[-1].reason


def test_tensorrt_computes_in_the_numbers_of_the_artifact_and_keeps_its_engines(tmp_path):
    by_kind = {
        kind: attempts("tensorrt", kind, available=ALL, threads=1, cache=tmp_path)[0]
        for kind in (FLOAT, INT8, HALF)
    }
    flags = {
        kind: (attempt.options["trt_fp16_enable"], attempt.options["trt_int8_enable"])
        for kind, attempt in by_kind.items()
    }
    assert flags == {FLOAT: ("False", "False"), INT8: ("False", "True"), HALF: ("True", "False")}
    assert by_kind[FLOAT].options["trt_engine_cache_path"] == str(tmp_path)
    assert by_kind[FLOAT].options["trt_timing_cache_path"] == str(tmp_path.parent)
    assert by_kind[FLOAT].helpers == (CUDA,)
    assert (
        "trt_engine_cache_enable"
        not in attempts("auto", FLOAT, available=ALL, threads=1, cache=None)[0].options
    )


def test_openvino_takes_the_threads_of_the_settings(tmp_path):
    [attempt, _] = attempts("openvino", FLOAT, available=ALL, threads=3, cache=tmp_path)
    assert attempt.options == {"device_type": "CPU", "num_of_threads": "3", "cache_dir": str(tmp_path)}


def test_the_cpu_runs_and_tells(tmp_path):
    runtime = open_runtime(make_artifact(), provider="auto", threads=2, cache=tmp_path / "engines")
    assert (runtime.provider, runtime.threads) == (CPU, 2)
    assert runtime.reason
    assert runtime.version == f"onnxruntime {onnxruntime.__version__}"
    assert not (tmp_path / "engines").exists()


def test_a_provider_without_its_libraries_is_passed_over_with_a_warning(monkeypatch, caplog):
    # ONNX Runtime itself goes on with the CPU then, as this list of providers makes it do here.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda model, options, providers: session(model, options, [CPU])
    )
    with caplog.at_level(logging.WARNING):
        runtime = open_runtime(make_artifact(), provider="auto")
    assert runtime.provider == CPU
    assert f"{CUDA} cannot open 'quadrants': its libraries cannot be loaded" in caplog.text
    assert f"{CUDA} failed" in runtime.reason
    image = sample_images()[1]
    np.testing.assert_allclose(runtime.run(image[None])[0], run_reference(image), atol=1e-4)


def test_providers_that_fail_are_passed_over_one_by_one(monkeypatch, caplog):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ALL)
    session, asked = onnxruntime.InferenceSession, []

    def opened(model, options, providers):
        names = [entry if isinstance(entry, str) else entry[0] for entry in providers]
        asked.append(names)
        if names[0] != CPU:
            raise RuntimeError(f"{names[0]} has no device.\nand a long trace")
        return session(model, options, [CPU])

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    with caplog.at_level(logging.WARNING):
        runtime = open_runtime(make_artifact(), provider="auto")
    assert asked == [[TRT, CUDA, CPU], [CUDA, CPU], [OPENVINO, CPU], [CPU]]
    assert runtime.provider == CPU
    assert caplog.text.count("Trying another") == 3
    assert "a long trace" not in caplog.text


def test_what_the_cpu_cannot_open_either_is_an_error(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])

    def fails(*_arguments, **_options):
        raise RuntimeError("broken graph")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    with pytest.raises(RuntimeFailure, match="broken graph"):
        open_runtime(make_artifact(), provider="auto")


@pytest.mark.parametrize("spin", [False, True])
def test_threads_wait_as_the_setting_says(spin):
    runtime = open_runtime(make_artifact(), spin=spin)
    entry = runtime._session.get_session_options().get_session_config_entry("session.intra_op.allow_spinning")
    assert entry == str(int(spin))


def test_settings_know_the_providers(tmp_path):
    for name in PROVIDERS:
        assert parse_settings({"provider": name}).runtime_choice.provider == name
    with pytest.raises(SettingsError, match="unknown provider 'gpu'; known: auto, tensorrt"):
        parse_settings({"provider": "gpu"})
    choice = parse_settings({"state_folder": str(tmp_path), "threads": 3, "spin": True}).runtime_choice
    assert choice == RuntimeChoice(provider="auto", threads=3, spin=True, cache=tmp_path / "engines")
    assert choice.arguments()[-2:] == ["--engine-cache", str(tmp_path / "engines")]


def test_what_is_compiled_for_a_model_lies_under_its_name(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "slimcast_edge.runtime.choice.open_runtime", lambda *_, **given: seen.append(given["cache"])
    )
    choice = RuntimeChoice(cache=tmp_path / "engines")
    choice.open(tmp_path / "models" / "abc.onnx")
    choice.open(b"bytes")
    RuntimeChoice().open(tmp_path / "abc.onnx")
    assert seen == [tmp_path / "engines" / "abc", tmp_path / "engines", None]


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "auto"])
def test_every_provider_that_is_there_gives_the_golden_answers(tmp_path, provider):
    """On an ordinary machine that is the CPU alone; run it where another ONNX Runtime is installed, too."""
    path = tmp_path / "m.onnx"
    path.write_bytes(make_artifact())
    runtime = RuntimeChoice(provider=provider, cache=tmp_path / "engines").open(path)
    check_golden(runtime)
    assert runtime.provider in onnxruntime.get_available_providers()
    assert runtime.provider == CPU or provider in runtime.provider.lower()
