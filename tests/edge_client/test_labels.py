"""How often each label came, as telemetry carries it: bounded in number and bytes, nothing lost."""

from types import SimpleNamespace

from slimcast_edge.client.traffic import Traffic, most_frequent
from slimcast_edge.wire import MAX_LABEL_BYTES, TOPICS, Telemetry


def _traffic(counts: dict[str, int]) -> Traffic:
    traffic = Traffic()
    for label, count in counts.items():
        for _ in range(count):
            traffic.add(SimpleNamespace(label=label, latency_ms=1.0))
    return traffic


def test_each_label_is_counted_since_the_last_message():
    traffic = _traffic({"seven": 3, "two": 1})
    assert most_frequent(traffic.take_labels()) == ({"seven": 3, "two": 1}, 0)
    assert most_frequent(traffic.take_labels()) == ({}, 0)


def test_many_long_labels_fit_into_a_message_and_the_rest_is_counted_together():
    counts = {f'{n} "{"ü" * 150}"\n': n for n in range(1, 60)}
    labels, other = most_frequent(_traffic(counts).take_labels())
    assert sum(labels.values()) + other == sum(counts.values())
    assert max(counts, key=counts.get) in labels, "the most frequent ones come first"
    message = Telemetry(
        session="s", at=1, uptime_s=1, fps=1, latency_p50_ms=1, latency_p90_ms=1, frames=1, dropped=0,
        rss_mb=1, labels=labels, labels_other=other,
    ).encode()  # fmt: skip
    assert len(labels) > 3
    assert len(message) < MAX_LABEL_BYTES + 400 < TOPICS["telemetry"].max_bytes
