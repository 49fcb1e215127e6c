"""How many frames a camera gave, how long their answers took, and what they showed."""

import json
from collections import Counter, deque

from slimcast_edge.client.engine import Answer
from slimcast_edge.wire import MAX_LABEL_BYTES, MAX_LABELS


class Traffic:
    """Counts the frames of one camera, and their latencies since the last telemetry."""

    def __init__(self) -> None:
        self.frames = 0
        self.dropped = 0
        self.latency_sum_ms = 0.0
        self.last: Answer | None = None
        self._latencies_ms: deque[float] = deque(maxlen=4096)
        self._recent_ms: deque[float] = deque(maxlen=1024)
        self._labels: deque[str] = deque(maxlen=4096)

    def add(self, answer: Answer) -> None:
        """Count a frame that was classified, and its first label."""
        self.frames += 1
        self.latency_sum_ms += answer.latency_ms
        self.last = answer
        self._latencies_ms.append(answer.latency_ms)
        self._recent_ms.append(answer.latency_ms)
        self._labels.append(answer.label)

    @property
    def recent_latencies_ms(self) -> tuple[float, ...]:
        """The latencies of the last frames, ms."""
        return tuple(self._recent_ms.copy())  # copied in one step: the other thread goes on appending

    def take_latencies(self) -> list[float]:
        """Return the latencies since the last call, ms."""
        return [self._latencies_ms.popleft() for _ in range(len(self._latencies_ms))]

    def take_labels(self) -> Counter[str]:
        """Return how often each label came first since the last call."""
        return Counter(self._labels.popleft() for _ in range(len(self._labels)))


def most_frequent(counts: Counter[str]) -> tuple[dict[str, int], int]:
    """Return the labels that have room in a message with their counts, and how often the others came."""
    labels, room = {}, MAX_LABEL_BYTES
    for label, count in counts.most_common(MAX_LABELS):
        room -= len(json.dumps(label, ensure_ascii=False).encode()) + 12  # colon, comma, the number
        if room < 0:
            break
        labels[label] = count
    return labels, counts.total() - sum(labels.values())
