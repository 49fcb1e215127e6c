"""What quantization did to each layer: errors of all, a histogram of one."""

from collections.abc import Sequence

import streamlit as st

from slimcast_web.components import charts
from slimcast_web.services import figures
from slimcast_web.services.layers import LayerChange


def show(changes: Sequence[LayerChange]) -> None:
    """Show the layers of a variant, and the weights of one of them before and after."""
    float_layers = [change.name for change in changes if change.stayed]
    worst = max(changes, key=lambda change: change.error)
    kept = f"In float: {', '.join(float_layers)}. " if float_layers else ""
    change = f"by {figures.percent(worst.error)} of their root mean square"
    st.caption(f"{kept}The weights of {worst.name} change most: {change}.")
    left, right = st.columns([2, 3])
    names = [change.name for change in changes]
    with left:
        st.dataframe(
            [
                {
                    "layer": change.name,
                    "change, %": change.error * 100,
                    "values": change.values,
                    "weights": change.after.size,
                }
                for change in changes
            ],
            hide_index=True,
            height=330,
            width="stretch",
            column_config={"change, %": st.column_config.NumberColumn("change, %", format="%.3f")},
        )
    with right:
        name = st.selectbox("Layer", names, index=names.index(worst.name), key="layer")
        chosen = next(change for change in changes if change.name == name)
        charts.weight_histogram(chosen.before, chosen.after, key="weights")
