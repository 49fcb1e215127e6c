"""Figures of the app, all in one look. Hover texts are built from plain text, never from HTML of others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from slimcast_web import theme
from slimcast_web.services.runs import Curve

_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
_SELECTING = {"displaylogo": False, "modeBarButtonsToRemove": ["autoScale2d"]}
_BINS = 120


def curves(lines: Sequence[Curve], boundaries: Sequence[tuple[float, str]], *, title: str, key: str) -> None:
    """Draw live curves; a fine line and a word mark where each step begins."""
    figure = go.Figure()
    share = all("accuracy" in line.series for line in lines)
    for index, line in enumerate(lines):
        colour = theme.SERIES_COLOURS[index % len(theme.SERIES_COLOURS)]
        scale = 100 if share else 1
        figure.add_scatter(
            x=line.xs,
            y=[y * scale for y in line.ys],
            name=line.series,
            mode="lines+markers" if len(line.xs) < 40 else "lines",
            line={"color": colour, "width": 2, "dash": "dot" if "train" in line.series else "solid"},
            marker={"size": 5},
            hovertemplate="epoch %{x:.2f}: %{y:.4g}"
            + (" %" if share else "")
            + "<extra>%{fullData.name}</extra>",
        )
    for at, kind in boundaries:
        figure.add_vline(x=at, line={"color": theme.FRONT_COLOUR, "width": 1, "dash": "dot"})
        words = {
            "x": at,
            "y": 1.0,
            "yref": "paper",
            "showarrow": False,
            "xanchor": "left",
            "yanchor": "bottom",
        }
        figure.add_annotation(**words, text=kind, font={"size": 11, "color": theme.FRONT_COLOUR})
    figure.update_layout(
        height=280,
        margin={"l": 8, "r": 8, "t": 44, "b": 8},
        title={"text": title, "font": {"size": 15}, "y": 0.98, "yanchor": "top"},
        legend={"orientation": "h", "y": -0.22},
        uirevision=key,
    )
    figure.update_xaxes(title="epochs", rangemode="tozero")
    figure.update_yaxes(ticksuffix=" %" if share else "")
    show(figure, key)


def weight_histogram(before: np.ndarray, after: np.ndarray, *, key: str) -> None:
    """Draw how often which weight occurs: in float32 as an area, with fewer bits as lines."""
    figure = go.Figure()
    counts, edges = np.histogram(before, bins=_BINS)
    after_counts, _ = np.histogram(after, bins=edges)
    middles = (edges[:-1] + edges[1:]) / 2
    colours = theme.SERIES_COLOURS
    figure.add_scatter(
        x=middles,
        y=counts,
        name="before",
        fill="tozeroy",
        line={"color": colours[0], "width": 1, "shape": "hvh"},
    )
    figure.add_bar(x=middles, y=after_counts, name="after", marker={"color": colours[1]}, opacity=0.6)
    figure.update_layout(
        height=280,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": "weight"},
        yaxis={"title": "how many"},
        bargap=0,
    )
    st.plotly_chart(figure, key=key, config=_CONFIG)


def show(figure: go.Figure, key: str, *, on_select: Callable[[], None] | None = None) -> None:
    """Put a figure on the page, in the app's look; `on_select` is called when points are chosen in it."""
    options: dict[str, Any] = {"config": _CONFIG, "theme": "streamlit", "width": "stretch"}
    if on_select is not None:
        options |= {"config": _SELECTING, "on_select": on_select}
    st.plotly_chart(figure, key=key, **options)
