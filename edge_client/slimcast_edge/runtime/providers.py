"""Which execution provider of ONNX Runtime is to open a model: those to try, in their order, and why each.

Options of the providers: https://onnxruntime.ai/docs/execution-providers/
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slimcast_edge.artifact import NumericKind

CPU = "CPUExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_OPENVINO = "OpenVINOExecutionProvider"
_NAMES = {"tensorrt": _TENSORRT, "cuda": _CUDA, "openvino": _OPENVINO, "cpu": CPU}

PROVIDERS = ("auto", *_NAMES)
"""What the setting `provider` may say."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A provider to try, its options, what it may leave work to, and why it is tried."""

    provider: str
    reason: str
    options: dict[str, str] = field(default_factory=dict)
    helpers: tuple[str, ...] = ()


def builds_engines(wanted: str, available: Sequence[str]) -> bool:
    """Return whether a provider may come first that compiles a new model for minutes."""
    return _TENSORRT in available and wanted in {"auto", "tensorrt"}


def attempts(
    wanted: str, kind: NumericKind, *, available: Sequence[str], threads: int, cache: Path | None
) -> list[Attempt]:
    """Return the providers to try for a model; the last is always the CPU, which is always there.

    Args:
        wanted: one of `PROVIDERS`.
        kind: numbers of the model: they decide what a provider is good for.
        available: what this ONNX Runtime was built with.
        threads: threads that compute, for providers that have some.
        cache: folder for what a provider compiles; None: nothing is kept.

    """
    if wanted == "auto":
        names = [name for name in (_TENSORRT, _CUDA, _OPENVINO) if name in available]
        if kind is NumericKind.INT8 and _CUDA in names:
            names.remove(_CUDA)  # it has no integer kernels: int8 would be slower there than float
        reason = "the first that is there, of TensorRT, CUDA, OpenVINO and CPU"
    else:
        names = [_NAMES[wanted]] if _NAMES[wanted] in available else []
        reason = f"the setting says {wanted!r}"
    found = [_attempt(name, reason, kind, available, threads, cache) for name in names if name != CPU]
    return [*found, Attempt(provider=CPU, reason=_why_cpu(wanted, kind, available, tried=bool(found)))]


def _why_cpu(wanted: str, kind: NumericKind, available: Sequence[str], *, tried: bool) -> str:
    if wanted == "cpu":
        return "the setting says 'cpu'"
    if tried:
        return "the others could not be opened"
    if wanted != "auto":
        return f"this ONNX Runtime was built without {wanted!r}"
    if kind is NumericKind.INT8 and _CUDA in available:
        return "CUDA has no integer kernels"
    return "this ONNX Runtime has no other provider that computes here"


def _attempt(
    name: str, reason: str, kind: NumericKind, available: Sequence[str], threads: int, cache: Path | None
) -> Attempt:
    if name == _TENSORRT:
        helpers = tuple(helper for helper in (_CUDA,) if helper in available)
        return Attempt(provider=name, reason=reason, options=_tensorrt(kind, cache), helpers=helpers)
    if name == _OPENVINO:
        options = {"device_type": "CPU", "num_of_threads": str(threads)}
        options |= {"cache_dir": str(cache)} if cache is not None else {}
        return Attempt(provider=name, reason=reason, options=options)
    return Attempt(provider=name, reason=reason)


def _tensorrt(kind: NumericKind, cache: Path | None) -> dict[str, str]:
    """Return the options: only numbers that the artifact has itself, or its golden answers would differ."""
    options = {
        "trt_fp16_enable": str(kind is NumericKind.FLOAT16),
        "trt_int8_enable": str(kind is NumericKind.INT8),
    }
    if cache is not None:  # building an engine takes minutes on a Jetson, reading one a second
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(cache.parent),  # what one engine learnt helps to build the next
        }
    return options
