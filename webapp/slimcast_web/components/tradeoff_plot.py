"""The plot on Trade-offs: a click shows a variant, a box or lasso puts several side by side."""

from collections.abc import Sequence

import streamlit as st

from slimcast_web.components import charts
from slimcast_web.components.tradeoff_choice import key, ticks_follow
from slimcast_web.plots.trade_off import Axes, trade_off
from slimcast_web.services.compared import MISSING
from slimcast_web.services.measures import measured
from slimcast_web.services.tradeoff_link import MOST_COMPARED, View
from slimcast_web.services.tradeoffs import Point

_PLOT = "trade-off"


def axes_of(points: Sequence[Point], view: View) -> Axes:
    """Return what is drawn against what."""
    known = measured(one for point in points for one in point.variant.measurements)
    return Axes(
        x=known[view.x],
        y=known[view.y],
        z=known.get(view.z),
        style=view.style,
        log=view.log,
        fronts=view.fronts,
        machine=view.machine,
    )


def show(points: Sequence[Point], axes: Axes, view: View) -> None:
    """Show the plot."""
    figure = trade_off(points, axes, chosen=view.variant, compared=view.compared)
    if axes.is_solid:
        charts.show(figure, f"{_PLOT}-3d")
        st.caption("In three dimensions a point is chosen in the box above: clicks turn the plot.")
    else:
        charts.show(figure, _PLOT, on_select=_pick)
    left_out = [p for p in points if any(p.value(m.name, axes.machine) is None for m in axes.measures)]
    if left_out:
        names = ", ".join(point.variant.name for point in left_out[:5]) + (", …" if len(left_out) > 5 else "")
        st.caption(f"Not drawn, since not measured so: {len(left_out)} of {len(points)} variants.")
        st.code(names or MISSING, language=None)


def picked(selection: object) -> list[str]:
    """Return the keys of the variants in what Streamlit tells of a selection."""
    try:
        points = selection["selection"]["points"]  # type: ignore[index]
        return list(dict.fromkeys(str(point["customdata"][0]) for point in points if point.get("customdata")))
    except (KeyError, TypeError, IndexError):
        return []


def _pick() -> None:
    state = st.session_state
    keys = picked(state.get(_PLOT))
    if len(keys) == 1:
        state[key("variant")] = keys[0]
    elif keys:
        state[key("compared")] = keys[:MOST_COMPARED]
        state[key("section")] = "compare"
        ticks_follow()
