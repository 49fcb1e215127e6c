"""Which step cannot stand where it stands."""

from collections.abc import Sequence

QUANTIZE_LAST = "'quantize' makes the final artifact: no step can follow it"
FACTORIZE_FIRST = "'factorize' would fill the zeros of 'sparsify' again: put it before that step"


def misplaced(kinds: Sequence[object]) -> list[tuple[int, str]]:
    """Return (index, what is wrong) of the steps of these kinds that are in the wrong place."""
    found = [(index, QUANTIZE_LAST) for index, kind in enumerate(kinds[:-1]) if kind == "quantize"]
    for index, kind in enumerate(kinds):
        if kind == "factorize" and "sparsify" in kinds[:index]:
            found.append((index, FACTORIZE_FIRST))
    return sorted(found)
