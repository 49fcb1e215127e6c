"""How long fuzz tests run: a moment in every run of the tests, longer with `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("SLIMCAST_FUZZ_EXAMPLES", "60"))
LONGEST_MS = 2_000 if EXAMPLES > 1000 else None
"""Bounded time: no input may take longer. Asked of long runs only: elsewhere the load would tell."""

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=LONGEST_MS,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)
