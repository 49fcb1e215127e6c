"""The runtimes there are. Adding one is one new file and one entry here."""

from pathlib import Path

from slimcast_edge.artifact_file import check_file
from slimcast_edge.errors import RuntimeFailure
from slimcast_edge.registry import KindInfo, Registry
from slimcast_edge.runtime.port import Runtime

RUNTIMES: Registry[KindInfo] = Registry(
    "runtime",
    [
        KindInfo(
            name="onnxruntime",
            title="ONNX Runtime",
            description="Has integer kernels for int8 artifacts on x86-64 and 64-bit ARM; TensorRT, CUDA and "
            "OpenVINO where it was built with them.",
            impl="slimcast_edge.runtime.onnx:OnnxRuntime",
        ),
    ],
)


def open_runtime(
    model: Path | bytes,
    *,
    name: str = "onnxruntime",
    threads: int = 1,
    provider: str = "cpu",
    spin: bool = False,
    cache: Path | None = None,
) -> Runtime:
    """Check an artifact and open it.

    Args:
        model: the file, or its content.
        name: an entry of `RUNTIMES`.
        threads: threads that compute, 1 or more.
        provider: one of `slimcast_edge.runtime.providers.PROVIDERS`. One that cannot open the model is passed
            over with a warning; the CPU is always tried in the end.
        spin: whether threads wait busily for their next work.
        cache: folder for what a provider compiles; made when it is needed.

    Raises:
        ArtifactError: the file is refused.
        RuntimeFailure: the runtime is not installed, or cannot open the model.
        UnknownKind: there is no such runtime.

    """
    entry = RUNTIMES[name]
    info = check_file(model)
    try:
        implementation = entry.load()
    except ImportError as error:
        raise RuntimeFailure(f"The runtime {name!r} needs a library that is missing: {error}.") from error
    runtime: Runtime = implementation(model, info, threads=threads, provider=provider, spin=spin, cache=cache)
    return runtime
