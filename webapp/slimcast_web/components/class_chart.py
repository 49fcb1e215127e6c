"""How the images of a data set are spread over its classes."""

import html
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import streamlit as st

from slimcast_web import theme
from slimcast_web.components import charts

_MOST_BARS = 100
_LABEL_LETTERS = 18


def show(labels: Sequence[str], counts: Mapping[str, Sequence[int]], *, key: str) -> None:
    """Draw how many images each class has, a bar for each part; of many classes the rarest and commonest."""
    order = list(range(len(labels)))
    if len(order) > _MOST_BARS:
        order.sort(key=lambda index: counts["train"][index])
        order = order[: _MOST_BARS // 2] + order[-_MOST_BARS // 2 :]
        st.caption(f"The {_MOST_BARS // 2} rarest and the {_MOST_BARS // 2} commonest classes")
    figure = go.Figure()
    for (part, values), colour in zip(counts.items(), theme.SERIES_COLOURS, strict=False):
        figure.add_bar(
            # By number: two labels may differ only in what a chart leaves out.
            x=list(range(len(order))),
            y=[values[index] for index in order],
            name=part,
            marker={"color": colour},
            customdata=[[html.escape(labels[index])] for index in order],
            hovertemplate="%{customdata[0]}: %{y:,}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        height=260,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        barmode="stack",
        legend={"orientation": "h", "y": 1.12},
        uirevision=key,
    )
    texts = [html.escape(labels[index][:_LABEL_LETTERS]) for index in order]
    figure.update_xaxes(tickmode="array", tickvals=list(range(len(order))), ticktext=texts)
    figure.update_yaxes(title="images")
    charts.show(figure, key)
