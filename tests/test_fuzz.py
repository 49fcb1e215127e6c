"""No bytes from outside break a parser: it takes them, or raises what it declares, in bounded time."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz_targets import TARGETS
from support_fuzz import fuzzed

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "\0", "\ud800", "../x", "#", "+", "/", "%00", "A" * 5000, 1e308, -0.0, [], {}, [[]]]
    ),
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spliced(draw, seeds):
    """A sound input with a part replaced, cut out, doubled or cut off; or no such input at all."""
    seed = draw(st.sampled_from(seeds))
    at = draw(st.integers(0, len(seed)))
    match draw(st.integers(0, 4)):
        case 0:
            return draw(st.binary(max_size=300))
        case 1:
            return seed[:at]
        case 2:
            end = min(len(seed), at + draw(st.integers(0, 64)))
            return seed[:at] + seed[at:end] * draw(st.integers(0, 3)) + seed[end:]
        case _:
            junk = draw(st.binary(max_size=16))
            return seed[:at] + junk + seed[at + draw(st.integers(0, 16)) :]


@st.composite
def changed_json(draw, seeds):
    """A sound JSON document in which one value, at any depth, is another."""
    document = json.loads(draw(st.sampled_from(seeds)))
    part, last = document, None
    while isinstance(part, dict | list) and part:
        key = draw(st.sampled_from(sorted(part)) if isinstance(part, dict) else st.integers(0, len(part) - 1))
        last = (part, key)
        part = part[key]
        if draw(st.booleans()):
            break
    if last is None:
        return json.dumps(draw(VALUES)).encode()
    last[0][last[1]] = draw(VALUES)
    return json.dumps(document).encode()


def inputs(target):
    strategies = [spliced(target.seeds)]
    if all(seed.startswith(b"{") for seed in target.seeds):
        strategies.append(changed_json(target.seeds))
    return st.one_of(strategies)


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_sound_input_is_taken(name):
    for seed in TARGETS[name].seeds:
        if seed != b"{}":
            TARGETS[name].run(seed)


@pytest.mark.parametrize("name", list(TARGETS))
def test_no_bytes_break_it(name):
    target = TARGETS[name]

    @fuzzed
    @given(inputs(target))
    def check(data):
        with contextlib.suppress(*target.declared):
            target.run(data)

    check()
