"""The figures of a variant, each with its unit, sample count and machine."""

from dataclasses import dataclass

from slimcast.measure.files import FileFacts
from slimcast.measure.fresh import FreshRun
from slimcast.records import Measurement


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Accuracy and agreement with torch, 0..1, over `images` held-out images.

    Attributes:
        validation_accuracy: over the `validation_images` that the recipe holds back for choices; None where
            it holds back none.
    """

    accuracy: float
    agreement: float
    images: int
    validation_accuracy: float | None = None
    validation_images: int = 0


def measurements(
    *,
    quality: Quality,
    parameters: int,
    macs: int,
    facts: FileFacts,
    integer: tuple[int, int],
    fresh: FreshRun,
    machine: str,
) -> tuple[Measurement, ...]:
    """Return all figures of a variant; `integer`: layers in integer kernels, and of how many."""
    latency = fresh.latency
    n = quality.images
    measured = (
        Measurement(name="accuracy", value=quality.accuracy, higher_is_better=True, n=n),
        Measurement(name="params", value=parameters, higher_is_better=False),
        Measurement(name="macs", value=macs, higher_is_better=False),
        Measurement(name="size_bytes", value=facts.size_bytes, unit="B", higher_is_better=False),
        Measurement(name="compressed_bytes", value=facts.compressed_bytes, unit="B", higher_is_better=False),
        Measurement(name="sparsity", value=facts.sparsity, higher_is_better=True),
        Measurement(
            name="integer_share",
            value=integer[0] / max(1, integer[1]),
            higher_is_better=True,
            n=integer[1],
            machine=machine,
        ),
        Measurement(name="agreement", value=quality.agreement, higher_is_better=True, n=n),
        Measurement(
            name="latency_p50_ms",
            value=latency.p50_ms,
            unit="ms",
            higher_is_better=False,
            n=latency.runs,
            spread=latency.std_ms,
            machine=machine,
        ),
        Measurement(
            name="latency_p90_ms",
            value=latency.p90_ms,
            unit="ms",
            higher_is_better=False,
            n=latency.runs,
            spread=latency.std_ms,
            machine=machine,
        ),
        Measurement(
            name="peak_rss_mb", value=fresh.peak_rss_mb, unit="MB", higher_is_better=False, machine=machine
        ),
    )
    validated = quality.validation_accuracy
    if validated is None:
        return measured
    n = quality.validation_images
    return (*measured, Measurement(name="validation_accuracy", value=validated, higher_is_better=True, n=n))
