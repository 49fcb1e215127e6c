"""Layers of several variants side by side."""

import html
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from slimcast_web import theme


def layer_bars(bars: Mapping[str, Mapping[str, float]], titles: Sequence[str], axis: str) -> go.Figure:
    """Return a bar for each layer and variant.

    Args:
        bars: a figure of each layer, by variant and the layer's name; layers keep the order they come in.
        titles: of the variants, in the order of `bars`.
        axis: what is drawn, with its unit.
    """
    names = list(dict.fromkeys(name for layers in bars.values() for name in layers))
    figure = go.Figure()
    colours = [theme.SERIES_COLOURS[i % len(theme.SERIES_COLOURS)] for i in range(len(titles))]
    for title, layers, colour in zip(titles, bars.values(), colours, strict=True):
        figure.add_bar(
            x=list(range(len(names))),
            y=[layers.get(name) for name in names],
            name=html.escape(title),
            marker={"color": colour},
            customdata=[[html.escape(name)] for name in names],
            hovertemplate="%{customdata[0]}: %{y:,.4g}<extra>%{fullData.name}</extra>",
        )
    ticks = [html.escape(name[-24:]) for name in names]
    figure.update_xaxes(tickmode="array", tickvals=list(range(len(names))), ticktext=ticks)
    figure.update_yaxes(title=axis, rangemode="tozero")
    figure.update_layout(
        height=340,
        barmode="group",
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )
    return figure
