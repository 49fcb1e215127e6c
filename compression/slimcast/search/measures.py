"""What a search can aim at or limit: the measurements of a variant, and the loss against the baseline."""

from dataclasses import dataclass

ACCURACY = "accuracy"
ACCURACY_DROP = "accuracy_drop"
TEST_ACCURACY = "test_accuracy"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A figure that every variant has. Fractions run from 0 to 1, all else is in `unit`."""

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool = False
    is_fraction: bool = False


_ALL = (
    Measure(name=ACCURACY, title="accuracy", higher_is_better=True, is_fraction=True),
    Measure(name=ACCURACY_DROP, title="accuracy lost against the baseline", is_fraction=True),
    Measure(name=TEST_ACCURACY, title="accuracy on test images", higher_is_better=True, is_fraction=True),
    Measure(name="agreement", title="agreement with torch", higher_is_better=True, is_fraction=True),
    Measure(name="size_bytes", title="size of the file", unit="bytes"),
    Measure(name="compressed_bytes", title="size after zlib", unit="bytes"),
    Measure(name="macs", title="multiply-accumulates"),
    Measure(name="params", title="parameters"),
    Measure(name="sparsity", title="sparsity", higher_is_better=True, is_fraction=True),
    Measure(name="latency_p50_ms", title="latency p50", unit="ms"),
    Measure(name="latency_p90_ms", title="latency p90", unit="ms"),
    Measure(name="peak_rss_mb", title="peak memory", unit="MB"),
)

MEASURES = {measure.name: measure for measure in _ALL}
"""By name. All but `accuracy_drop` and `test_accuracy` are measurements of the store, directions included."""

BUDGETS = tuple(name for name in MEASURES if name != TEST_ACCURACY)
OBJECTIVES = tuple(name for name in BUDGETS if name != ACCURACY_DROP)
