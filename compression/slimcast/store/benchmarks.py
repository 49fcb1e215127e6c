"""What devices measured of artifacts. A benchmark never changes; a newer one of the same stands beside it."""

import dataclasses
from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, insert, select

from slimcast.records import Benchmark
from slimcast.store.database import Rows
from slimcast.store.tables import benchmarks as t

_AT_ONCE = 500  # below what a statement of SQLite may have of parameters


class Benchmarks(Rows):
    """Rows of benchmarks."""

    def add(self, found: Collection[Benchmark]) -> None:
        """Keep what a device measured, all or none."""
        if found:
            with self._database.writing() as connection:
                connection.execute(insert(t), [dataclasses.asdict(one) for one in found])

    def of(self, artifacts: Collection[str]) -> list[Benchmark]:
        """Return all that was measured of these artifacts, oldest first."""
        hashes, found = sorted(set(artifacts)), []
        with self._database.reading() as connection:
            for start in range(0, len(hashes), _AT_ONCE):
                query = select(t).where(t.c.artifact.in_(hashes[start : start + _AT_ONCE]))
                found += [_to_benchmark(row) for row in connection.execute(query.order_by(t.c.at, t.c.id))]
        return sorted(found, key=lambda one: one.at)


def _to_benchmark(row: Row[Any]) -> Benchmark:
    return Benchmark(**{f.name: getattr(row, f.name) for f in dataclasses.fields(Benchmark)})
