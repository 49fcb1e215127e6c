"""How long a model may take to get ready: compiling it is one thing, trying it another."""

import os

import pytest

from slimcast_edge.deploy.trial_process import TrialProcess
from slimcast_edge.errors import ArtifactError, Refusal
from slimcast_edge.runtime import RuntimeChoice
from slimcast_edge.runtime.providers import CPU, builds_engines
from support_artifacts import make_artifact
from support_wait import PATIENCE

TRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
LIMIT_S = 2.5 * PATIENCE
# Stands in for ONNX Runtime with TensorRT in the process of the trial: builds an engine when there is none in
# the cache, and computes on the CPU.
STAND_IN = f"""
import os, pathlib, time
import onnxruntime

real = onnxruntime.InferenceSession

class Session(real):
    def get_providers(self):
        return [{TRT!r}]

def opened(model, options, providers):
    name, settings = providers[0]
    engine = pathlib.Path(settings["trt_engine_cache_path"], "engine")
    if not engine.exists():
        with open(os.environ["BUILDS"], "a") as builds:
            builds.write("x")
        time.sleep(float(os.environ["BUILD_S"]))
        engine.touch()
    return Session(model, options, [{CPU!r}])

onnxruntime.get_available_providers = lambda: [{TRT!r}, {CPU!r}]
onnxruntime.InferenceSession = opened
"""


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """Return a function that tries a model on the stand-in, and says how often an engine has been built."""
    (tmp_path / "stand_in").mkdir()
    (tmp_path / "stand_in" / "sitecustomize.py").write_text(STAND_IN)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path / "stand_in"), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    model = tmp_path / "model.onnx"
    model.write_bytes(make_artifact())
    choice = RuntimeChoice(provider="auto", cache=tmp_path / "engines")

    def run(*, takes_s, build_s):
        monkeypatch.setenv("BUILD_S", str(takes_s))
        process = TrialProcess(choice, max_latency_ms=None, build_s=build_s, timeout_s=LIMIT_S)
        return process(model), (tmp_path / "builds").read_text()

    return run


@pytest.mark.slow
def test_building_an_engine_may_take_longer_than_the_trial(trial):
    passed, builds = trial(takes_s=LIMIT_S + 0.5, build_s=600)
    assert passed.latency_ms > 0
    assert builds == "x"
    _, builds = trial(takes_s=600, build_s=600)  # it is kept
    assert builds == "x"


def test_an_engine_that_takes_too_long_is_refused_with_what_to_do(trial):
    with pytest.raises(ArtifactError, match=r"not compiled within.*`build_s`") as caught:
        trial(takes_s=600, build_s=LIMIT_S + 0.1)
    assert caught.value.reason == Refusal.LOADER_FAILED


@pytest.mark.parametrize(
    ("wanted", "available", "builds"),
    [
        ("auto", [TRT, CUDA, CPU], True),
        ("tensorrt", [TRT, CPU], True),
        ("tensorrt", [CPU], False),
        ("cuda", [TRT, CUDA, CPU], False),
        ("cpu", [TRT, CPU], False),
    ],
)
def test_only_tensorrt_has_the_longer_clock(wanted, available, builds):
    assert builds_engines(wanted, available) is builds
