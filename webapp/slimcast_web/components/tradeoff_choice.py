"""Which runs, which measures, which variants: boxes on Trade-offs that follow the address and are in it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from slimcast.errors import RunNotFound
from slimcast_web.components import notices, variant_view
from slimcast_web.services import tradeoff_link, tradeoffs
from slimcast_web.services.measures import Measure, measured
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoff_link import MOST_COMPARED, STYLES, View
from slimcast_web.services.tradeoffs import MOST_RUNS, Point

_KEY = "tradeoff-{}"
_SEEN, _WRITTEN, _LAST = "tradeoff-address-seen", "tradeoff-address-written", "tradeoff-last"
NONE = "–"
TICKS = "tradeoff-ticks"
"""Counts how often the compared variants were chosen elsewhere than in the table, whose ticks then follow."""


def key(field: str) -> str:
    """Return the key of the widget that holds a field of the view."""
    return _KEY.format(field)


def runs(opened: Studio) -> tuple[list[Point], View | None]:
    """Show the box of runs; return their variants, and the view of a new address, if it is new."""
    offered = {run.id: run for run in tradeoffs.runs_with_variants(opened)}
    asked, problems = _asked()
    state = st.session_state
    if asked is not None:
        missing = [run_id for run_id in asked.runs if run_id not in offered and not _is_there(opened, run_id)]
        problems += [f"run={run_id} does not exist." for run_id in missing]
        state[key("runs")] = [run_id for run_id in asked.runs if run_id not in missing] or list(offered)[:1]
        _tell(problems)
    state[key("runs")] = list(state.get(key("runs"), []))
    # Runs that a link names may be older than those that are offered, or deleted.
    options = [*offered, *(run_id for run_id in state[key("runs")] if run_id not in offered)]
    if not options:
        return [], asked
    st.multiselect(
        "Runs",
        options,
        key=key("runs"),
        format_func=lambda run_id: f"{offered[run_id].name} · {run_id}" if run_id in offered else run_id,
        placeholder="Choose the runs to compare",
        max_selections=MOST_RUNS,
    )
    if not state[key("runs")]:
        notices.empty("Choose at least one run.")
        st.stop()
    return tradeoffs.points(opened, state[key("runs")]), asked


def view(points: Sequence[Point], asked: View | None) -> View:
    """Show the boxes for measures and variants; return what is to be shown, and put it into the address."""
    known = measured(one for point in points for one in point.variant.measurements)
    machines = tradeoffs.machines(points)
    by_key = {point.key: point for point in points}
    if asked is not None:
        asked = _with_run(asked, points)
        asked, problems = tradeoff_link.known_only(asked, measures=known, machines=machines, variants=by_key)
        _tell(problems)
        for field in ("x", "y", "z", "style", "log", "fronts", "machine", "variant", "compared", "section"):
            value = getattr(asked, field)
            st.session_state[key(field)] = list(value) if isinstance(value, tuple) else value
    _mend(known, machines, by_key)
    _measures(known, machines)
    _variants(by_key)
    found = _collected()
    _write(found)
    return found


def _measures(known: dict[str, Measure], machines: list[str]) -> None:
    x, y, z, more = st.columns([3, 3, 3, 4], vertical_alignment="bottom")
    title = _titles(known)
    x.selectbox("Across", list(known), key=key("x"), format_func=title)
    y.selectbox("Up", list(known), key=key("y"), format_func=title)
    z.selectbox("Third measure", ["", *known], key=key("z"), format_func=title)
    with more.container(horizontal=True, vertical_alignment="center"):
        st.toggle("Log axis", key=key("log"))
        st.toggle("Front of each run", key=key("fronts"))
    if st.session_state[key("z")]:
        st.segmented_control(
            "Show it", list(STYLES), key=key("style"), required=True, format_func=lambda name: STYLES[name]
        )
    if len(machines) > 1:
        st.selectbox(
            "Latency on",
            ["", *machines],
            key=key("machine"),
            format_func=lambda name: name or "the machine of each run",
        )


def _variants(by_key: dict[str, Point]) -> None:
    titles = variant_view.titles(list(by_key.values()))
    one, many = st.columns(2, vertical_alignment="bottom")
    one.selectbox("Variant", list(by_key), key=key("variant"), format_func=titles.__getitem__)
    many.multiselect(
        "Side by side",
        list(by_key),
        key=key("compared"),
        format_func=titles.__getitem__,
        max_selections=MOST_COMPARED,
        placeholder="The baseline and the variant",
        on_change=ticks_follow,
        help="The first is what the others are compared with. Ticks in the table of all variants, and a box "
        "or lasso in the plot, choose them as well.",
    )


def ticks_follow() -> None:
    """Have the table take its ticks from the box anew."""
    st.session_state[TICKS] = st.session_state.get(TICKS, 0) + 1


def _titles(known: dict[str, Measure]) -> Any:
    return lambda name: known[name].title if name in known else NONE


def _asked() -> tuple[View | None, list[str]]:
    """Return what a new address asks for; None where the address only follows the boxes."""
    parameters = {
        name: st.query_params.get_all(name) for name in st.query_params if name in tradeoff_link.PARAMETERS
    }
    state = st.session_state
    is_entered = key("runs") not in state
    if not is_entered and parameters in (state.get(_SEEN), state.get(_WRITTEN)):
        return None, []
    state[_SEEN] = parameters
    if not parameters and _LAST in state:
        return state[_LAST], []  # back from another page
    return tradeoff_link.from_parameters(parameters)


def _with_run(asked: View, points: Sequence[Point]) -> View:
    """Let a link name variants of its only run by their names alone."""
    if len(asked.runs) != 1:
        return asked
    keys = {point.variant.name: point.key for point in points if point.run.id == asked.runs[0]}
    return replace(
        asked,
        variant=keys.get(asked.variant, asked.variant),
        compared=tuple(keys.get(name, name) for name in asked.compared),
    )


def _is_there(opened: Studio, run_id: str) -> bool:
    try:
        opened.store.run_list.several([run_id])
    except RunNotFound:
        return False
    return True


def _mend(known: dict[str, Measure], machines: list[str], by_key: dict[str, Point]) -> None:
    """Put boxes right whose choice is not there any more, since other runs were chosen."""
    state, default = st.session_state, View()
    offered: dict[str, Any] = {"x": known, "y": known, "z": ["", *known], "machine": ["", *machines]}
    for field, options in offered.items():
        if state.get(key(field)) not in options:
            wanted = getattr(default, field)
            state[key(field)] = wanted if wanted in options else next(iter(options))
    if state.get(key("variant")) not in by_key:
        state[key("variant")] = next(reversed(by_key))
    state[key("compared")] = [name for name in state.get(key("compared"), []) if name in by_key]
    # Boxes that are not always on the page keep what they had.
    for field in ("style", "section", "log", "fronts", "machine"):
        state[key(field)] = state.get(key(field), getattr(default, field))


def _collected() -> View:
    state = st.session_state
    fields = ("x", "y", "z", "style", "log", "fronts", "machine", "variant", "section")
    values = {field: state[key(field)] for field in fields}
    return View(runs=tuple(state[key("runs")]), compared=tuple(state[key("compared")]), **values)


def _write(found: View) -> None:
    written = tradeoff_link.to_parameters(found)
    others = {
        name: st.query_params.get_all(name)
        for name in st.query_params
        if name not in tradeoff_link.PARAMETERS
    }
    st.query_params.from_dict(others | written)
    st.session_state[_WRITTEN], st.session_state[_LAST] = written, found


def _tell(problems: Sequence[str]) -> None:
    if problems:
        st.warning(
            "Not all that the link asks for can be shown; the rest is as usual.",
            icon=":material/link_off:",
        )
        st.code("\n".join(problem[:300] for problem in problems), language=None, wrap_lines=True)
