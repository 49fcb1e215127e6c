"""What the devices of a site ran and when, and how often their models gave each label; both bounded."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, insert, select

from slimcast.fleet_records import HistoryEntry, LabelCounts
from slimcast.store import tables
from slimcast.store.database import SiteRows

HISTORY_KEPT_S = 180 * 86400.0
HISTORY_KEPT = 500
"""Entries for each device; the oldest go first."""
LABEL_HOURS_KEPT = 8 * 24
LABELS_KEPT = 200
"""Different labels for each device and hour; rarer ones are counted together."""
_FIELDS = ("device", "at", "revision", "state", "artifact", "name", "reason", "message")

h, n = tables.device_history, tables.label_counts


class DeviceLog(SiteRows):
    """Rows of history and of label counts."""

    def add(self, entries: Iterable[HistoryEntry]) -> None:
        """Add to the history, and drop what is more than is kept."""
        with self._database.writing() as connection:
            for entry in entries:
                values = {name: getattr(entry, name) for name in _FIELDS}
                connection.execute(insert(h).values(site=self._site, **values))
                here = (h.c.site == self._site, h.c.device == entry.device)
                last = connection.scalar(
                    select(h.c.id).where(*here).order_by(h.c.id.desc()).offset(HISTORY_KEPT).limit(1)
                )
                if last is not None:
                    connection.execute(delete(h).where(*here, h.c.id <= last))

    def of(self, device: str, limit: int = 50) -> list[HistoryEntry]:
        """Return what a device has reported, the newest first."""
        here = (h.c.site == self._site, h.c.device == device)
        query = select(h).where(*here).order_by(h.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [
                HistoryEntry(**{name: row._mapping[name] for name in _FIELDS})
                for row in connection.execute(query)
            ]

    def last(self) -> dict[str, HistoryEntry]:
        """Return the newest entry of each device."""
        newest = select(func.max(h.c.id)).where(h.c.site == self._site).group_by(h.c.device)
        with self._database.reading() as connection:
            found = connection.execute(select(h).where(h.c.id.in_(newest))).all()
        return {row.device: HistoryEntry(**{name: row._mapping[name] for name in _FIELDS}) for row in found}

    def count_labels(self, added: Iterable[LabelCounts]) -> None:
        """Add counts to those of their device, hour and model."""
        with self._database.writing() as connection:
            for one in added:
                key = {
                    "site": self._site,
                    "device": one.device,
                    "hour": one.hour,
                    "artifact": one.artifact,
                }
                here = [n.c[name] == value for name, value in key.items()]
                known = connection.execute(select(n).where(*here)).one_or_none()
                counts = merged(known.counts if known else {}, one.counts)
                kept = dict(sorted(counts.items(), key=lambda item: -item[1])[:LABELS_KEPT])
                other = (known.other if known else 0) + one.other + sum(counts.values()) - sum(kept.values())
                if known is not None:
                    connection.execute(delete(n).where(*here))
                connection.execute(insert(n).values(**key, counts=kept, other=other))

    def labels(self, from_hour: int, to_hour: int, device: str | None = None) -> list[LabelCounts]:
        """Return the counts of some hours (the last one included), of one device or of all; by hour."""
        here: list[Any] = [n.c.site == self._site, n.c.hour >= from_hour, n.c.hour <= to_hour]
        if device is not None:
            here.append(n.c.device == device)
        with self._database.reading() as connection:
            return [
                LabelCounts(
                    device=row.device,
                    hour=row.hour,
                    artifact=row.artifact,
                    counts=row.counts,
                    other=row.other,
                )
                for row in connection.execute(select(n).where(*here).order_by(n.c.hour))
            ]

    def drop_old(self, now: float) -> None:
        """Drop what is older than is kept; `now` is a Unix time, s."""
        with self._database.writing() as connection:
            connection.execute(delete(h).where(h.c.site == self._site, h.c.at < now - HISTORY_KEPT_S))
            oldest = int(now // 3600) - LABEL_HOURS_KEPT
            connection.execute(delete(n).where(n.c.site == self._site, n.c.hour < oldest))


def merged(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Return the sums of two sets of counts."""
    return counts | {label: counts.get(label, 0) + number for label, number in more.items()}
