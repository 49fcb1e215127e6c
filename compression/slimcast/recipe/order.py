"""Which step cannot stand where it stands."""

from collections.abc import Mapping, Sequence

QUANTIZE_LAST = "'quantize' makes the final artifact: no step can follow it"
FACTORIZE_FIRST = "'factorize' would fill the zeros of 'sparsify' again: put it before that step"
SENSITIVITY_FIRST = "ratios_from: sensitivity needs a step 'sensitivity' before it"


def misplaced(steps: Sequence[Mapping[str, object]]) -> list[tuple[int, str]]:
    """Return (index, what is wrong) of the steps that are in the wrong place.

    Args:
        steps: as they stand in the recipe; of each only `kind` and `ratios_from` count.
    """
    kinds = [step.get("kind") for step in steps]
    found = [(index, QUANTIZE_LAST) for index, kind in enumerate(kinds[:-1]) if kind == "quantize"]
    for index, step in enumerate(steps):
        if kinds[index] == "factorize" and "sparsify" in kinds[:index]:
            found.append((index, FACTORIZE_FIRST))
        if step.get("ratios_from") == "sensitivity" and "sensitivity" not in kinds[:index]:
            found.append((index, SENSITIVITY_FIRST))
    return sorted(found)
