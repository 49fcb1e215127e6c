"""The measures of variants: what they are called, in what they are read, and which way is better."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from slimcast.records import Measurement
from slimcast_web.services import figures

ACCURACY = "accuracy"
SIZE = "size_bytes"
LATENCY = "latency_p50_ms"
SAME = "the same"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Something that is measured of variants.

    Attributes:
        axis: what an axis says, with the unit.
        text: a value as people read it, with its unit.
        is_share: a fraction from 0 to 1, shown in per cent; differences are in points.
    """

    name: str
    title: str
    axis: str
    text: Callable[[float], str]
    higher_is_better: bool = False
    is_share: bool = False

    def on_axis(self, value: float | None) -> float | None:
        """Return a value as it is drawn."""
        return value if value is None or not self.is_share else 100 * value

    def change(self, before: float, after: float) -> str:
        """Return the difference of two values, absolute and in per cent; `SAME` where they read alike."""
        if self.text(after) == self.text(before):
            return SAME
        sign = "+" if after > before else "−"
        if self.is_share:
            return f"{sign}{abs(after - before) * 100:.2f} points"
        part = f", {sign}{abs(after / before - 1) * 100:.1f} %" if before else ""
        return f"{sign}{self.text(abs(after - before))}{part}"


def _share(name: str, title: str, axis: str, *, higher_is_better: bool = True) -> Measure:
    return Measure(
        name=name,
        title=title,
        axis=f"{axis} (%)",
        text=figures.percent,
        higher_is_better=higher_is_better,
        is_share=True,
    )


def _cost(name: str, title: str, axis: str, text: Callable[[float], str]) -> Measure:
    return Measure(name=name, title=title, axis=axis, text=text)


KNOWN = {
    measure.name: measure
    for measure in (
        _share(ACCURACY, "Accuracy", "Accuracy on held-out images"),
        _cost(SIZE, "Size", "Size of the .onnx file (bytes)", figures.size),
        _cost("macs", "MACs", "Multiply-accumulates for one image", figures.count),
        _cost(LATENCY, "Latency", "Latency p50, batch 1 (ms)", figures.milliseconds),
        _cost("latency_p90_ms", "Latency p90", "Latency p90, batch 1 (ms)", figures.milliseconds),
        _cost("compressed_bytes", "Compressed size", "Size after zlib level 9 (bytes)", figures.size),
        _cost("params", "Parameters", "Parameters", figures.count),
        _cost("peak_rss_mb", "Memory", "Peak memory of the process (MB)", lambda mb: f"{mb:.0f} MB"),
        _share("sparsity", "Sparsity", "Weights that are zero"),
        _share("integer_share", "Integer layers", "Layers in integer kernels"),
        _share("agreement", "Agreement", "Same answer as in PyTorch"),
        _share("validation_accuracy", "Validation accuracy", "Accuracy on validation images"),
    )
}


def measured(measurements: Iterable[Measurement]) -> dict[str, Measure]:
    """Return the measures of these measurements by name: the known ones first, in their order."""
    found: dict[str, Measurement] = {}
    for one in measurements:
        found.setdefault(one.name, one)
    others = sorted(found.keys() - KNOWN.keys())
    return {name: KNOWN[name] for name in KNOWN if name in found} | {
        name: _unknown(found[name]) for name in others
    }


def _unknown(one: Measurement) -> Measure:
    words = one.name.replace("_", " ")
    unit = f" {one.unit}" if one.unit else ""
    return Measure(
        name=one.name,
        title=words,
        axis=f"{words} ({one.unit})" if one.unit else words,
        text=lambda value: f"{value:.4g}{unit}",
        higher_is_better=one.higher_is_better,
    )
