"""ONNX Runtime, with the execution provider that is asked for or there."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from slimcast_edge.artifact import INPUT_NAME, OUTPUT_NAME, ArtifactInfo, NumericKind
from slimcast_edge.errors import ArtifactError, Refusal, RuntimeFailure
from slimcast_edge.runtime.providers import CPU, Attempt, attempts

logger = logging.getLogger(__name__)

VERSION = f"onnxruntime {onnxruntime.__version__}"
_WARNINGS_ARE_NOT_FOR_USERS = 3
_MAX_REASON = 300  # characters
# What ONNX Runtime says of an operator that it does not know, or has no kernel for.
_UNKNOWN_OPERATOR = (
    "is not a registered function/op",
    "No Op registered for",
    "NOT_IMPLEMENTED",
    "No opset import",
)


class OnnxRuntime:
    """A session of ONNX Runtime that computes with `threads` threads, which sleep between two frames.

    With `spin` they wait busily within a call and between two: a little faster, at the cost of the processor.
    """

    version = VERSION

    def __init__(
        self,
        model: Path | bytes,
        info: ArtifactInfo,
        *,
        threads: int,
        provider: str = "cpu",
        spin: bool = False,
        cache: Path | None = None,
    ) -> None:
        self.info = info
        self.threads = threads
        self._shape = (info.input.height, info.input.width, info.input.channels)
        there = onnxruntime.get_available_providers()
        possible = attempts(provider, info.numeric_kind, available=there, threads=threads, cache=cache)
        if cache is not None and any(attempt.options for attempt in possible):
            cache.mkdir(parents=True, exist_ok=True)
        options = session_options(threads, info.numeric_kind, spin=spin)
        self._session: Any
        self._session, self.provider, self.reason = _open_first(model, info, options, possible)
        self._check_signature()

    def run(self, images: np.ndarray) -> np.ndarray:
        """Classify images, uint8 (N, H, W, C): logits, float32 (N, K)."""
        if images.dtype != np.uint8 or images.shape[1:] != self._shape:
            raise RuntimeFailure(
                f"Model {self.info.name!r} takes uint8 images of {self._shape} (height, width, channels), "
                f"not {images.dtype} of shape {images.shape}."
            )
        if self._session is None:
            raise RuntimeFailure(f"Model {self.info.name!r} is closed.")
        try:
            logits: np.ndarray = self._session.run([OUTPUT_NAME], {INPUT_NAME: images})[0]
        except Exception as error:  # onnxruntime's own exceptions have no common base below Exception
            raise RuntimeFailure(
                f"Model {self.info.name!r} failed on an image: {_reason(error)[:_MAX_REASON]}"
            ) from error
        if logits.shape != (len(images), len(self.info.labels)):
            raise RuntimeFailure(
                f"Model {self.info.name!r} gave logits of shape {logits.shape}; "
                f"expected ({len(images)}, {len(self.info.labels)}), one for each label."
            )
        return logits

    def close(self) -> None:
        """Let go of the session and its memory."""
        self._session = None

    def _check_signature(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        takes = [(item.name, item.type) for item in inputs]
        if takes != [(INPUT_NAME, "tensor(uint8)")]:
            raise ArtifactError(
                Refusal.NOT_AN_ARTIFACT,
                f"Artifact {self.info.name!r} must take only {INPUT_NAME!r} of uint8; it takes {takes}.",
            )
        gives = {item.name: item.type for item in outputs}
        if gives.get(OUTPUT_NAME) != "tensor(float)":
            raise ArtifactError(
                Refusal.NOT_AN_ARTIFACT,
                f"Artifact {self.info.name!r} must give {OUTPUT_NAME!r} of float32; it gives {gives}.",
            )
        fixed = [
            (want, got)
            for want, got in zip(self._shape, inputs[0].shape[1:], strict=False)
            if isinstance(got, int)
        ]
        if len(inputs[0].shape) != 4 or any(want != got for want, got in fixed):
            raise ArtifactError(
                Refusal.NOT_AN_ARTIFACT,
                f"Artifact {self.info.name!r} describes an input of {self._shape}, but its graph takes "
                f"{tuple(inputs[0].shape[1:])}.",
            )


def session_options(threads: int, kind: NumericKind = NumericKind.FLOAT32, *, spin: bool = False) -> Any:
    """Return the options with which everything that is run or measured is opened."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _WARNINGS_ARE_NOT_FOR_USERS
    # Spinning threads would burn the battery, and the time of the camera's other threads, between two frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if kind is NumericKind.WEIGHT_ONLY:
        # Unpack the weights once, at load. On a static int8 model this would turn the integer kernels off.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def _open_first(
    model: Path | bytes, info: ArtifactInfo, options: Any, possible: list[Attempt]
) -> tuple[Any, str, str]:
    """Return the session of the first provider that opens the model, that provider, and why that one."""
    failed = ""
    for attempt in possible[:-1]:
        try:
            session = _session(model, options, attempt)
        except Exception as error:  # onnxruntime's own exceptions have no common base below Exception
            problem = _reason(error)[:_MAX_REASON]
        else:
            if session.get_providers()[0] == attempt.provider:
                return session, attempt.provider, attempt.reason + failed
            problem = (
                "its libraries cannot be loaded"  # ONNX Runtime goes on without it, and says so in its log
            )
        logger.warning("%s cannot open %r: %s. Trying another.", attempt.provider, info.name, problem)
        failed += f"; {attempt.provider} failed: {problem}"
    return _open(model, info, options), CPU, possible[-1].reason + failed


def _session(model: Path | bytes, options: Any, attempt: Attempt) -> Any:
    source = model if isinstance(model, bytes) else str(model)
    providers = [(attempt.provider, attempt.options), *attempt.helpers]
    providers += [CPU] if attempt.provider != CPU else []
    return onnxruntime.InferenceSession(source, options, providers=providers)


def _open(model: Path | bytes, info: ArtifactInfo, options: Any) -> Any:
    try:
        return _session(model, options, Attempt(provider=CPU, reason=""))
    except Exception as error:  # onnxruntime's own exceptions have no common base below Exception
        whole = _reason(error)  # the mark may lie beyond the part that is shown
        text = whole[:_MAX_REASON]
        if any(mark in whole for mark in _UNKNOWN_OPERATOR):
            raise ArtifactError(
                Refusal.UNKNOWN_OPERATOR,
                f"ONNX Runtime {onnxruntime.__version__} cannot run {info.name!r}: {text}",
            ) from error
        raise RuntimeFailure(f"ONNX Runtime cannot open {info.name!r}: {text}") from error


def _reason(error: Exception) -> str:
    """Return the first line without the file's path, which may be longer than what follows it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"Load model from .*? failed:\s*", "", line)
