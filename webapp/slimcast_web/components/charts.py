"""Figures of the app, all in one look. Hover texts are built from plain text, never from HTML of others."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from slimcast_web import theme
from slimcast_web.services import figures
from slimcast_web.services.runs import Curve
from slimcast_web.services.tradeoffs import LATENCY, Cost, Point

_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
_BINS = 120
KIND_TITLES = {
    "baseline": "As given",
    "train": "Trained",
    "prune": "Pruned",
    "netadapt": "Adapted",
    "sparsify": "Sparsified",
    "factorize": "Factorized",
    "finetune": "Fine-tuned",
    "quantize": "Quantized",
}


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


def trade_off(
    points: Sequence[Point], front: Sequence[Point], cost: Cost, *, log: bool, chosen: str, key: str
) -> None:
    """Draw accuracy against a cost, with the Pareto front; the chosen variant has a ring."""
    figure = go.Figure()
    on_front = {point.key for point in front}
    figure.add_scatter(
        x=[point.value(cost.name) for point in front],
        y=[100 * (point.value("accuracy") or 0) for point in front],
        name="Pareto front",
        mode="lines",
        line={"color": theme.FRONT_COLOUR, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )
    _add_ring(figure, [point for point in points if point.key == chosen], cost)
    for kind in dict.fromkeys(point.variant.step_kind for point in points):
        _add_kind(
            figure,
            kind,
            [p for p in points if p.variant.step_kind == kind],
            cost,
            on_front,
            len(points) <= 12,
        )
    figure.update_layout(
        height=440,
        margin={"l": 8, "r": 24, "t": 44, "b": 8},  # labels at the top stay clear of the buttons
        legend={"orientation": "h", "y": -0.2},
        hoverlabel={"align": "left"},
        uirevision=f"{key}-{cost.name}-{log}",
    )
    figure.update_xaxes(title=cost.axis, type="log" if log else "linear", rangemode="tozero")
    if log:
        figure.update_xaxes(
            minor={"ticks": "outside", "ticklen": 3}, dtick="D1" if _narrow(points, cost) else 1
        )
    figure.update_yaxes(title="Accuracy on held-out images", ticksuffix=" %")
    show(figure, key)


def _add_kind(
    figure: go.Figure, kind: str, points: Sequence[Point], cost: Cost, on_front: set[str], named: bool
) -> None:
    shown = [point for point in points if point.value(cost.name) is not None]
    figure.add_scatter(
        x=[point.value(cost.name) for point in shown],
        y=[100 * (point.value("accuracy") or 0) for point in shown],
        name=KIND_TITLES.get(kind, kind),
        mode="markers+text" if named else "markers",
        text=[html.escape(point.variant.name) for point in shown],
        textposition="top center",
        cliponaxis=False,
        marker={
            "color": theme.CATEGORY_COLOURS.get(kind, theme.OTHER_COLOUR),
            "symbol": theme.MARKERS.get(kind, theme.OTHER_MARKER),
            "size": 13,
            # What lies behind the front is there, but steps back.
            "opacity": [1.0 if point.key in on_front else 0.55 for point in shown],
            "line": {"width": 1, "color": "white"},
        },
        customdata=[[_hover(point)] for point in shown],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


def _add_ring(figure: go.Figure, points: Sequence[Point], cost: Cost) -> None:
    figure.add_scatter(
        x=[point.value(cost.name) for point in points],
        y=[100 * (point.value("accuracy") or 0) for point in points],
        mode="markers",
        marker={"symbol": "circle-open", "size": 25, "color": theme.FRONT_COLOUR, "line": {"width": 2}},
        showlegend=False,
        hoverinfo="skip",
    )


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


def _hover(point: Point) -> str:
    rows = [f"<b>{html.escape(point.title)}</b>", f"run {html.escape(point.run.id)}"]
    texts = {
        "accuracy": ("accuracy", figures.percent),
        "agreement": ("agreement with torch", figures.percent),
        "size_bytes": ("file", figures.size),
        "compressed_bytes": ("compressed", figures.size),
        "params": ("parameters", figures.count),
        "macs": ("MACs", figures.count),
        "sparsity": ("sparsity", figures.percent),
        "integer_share": ("in integer kernels", figures.percent),
        LATENCY: ("latency p50", figures.milliseconds),
        "latency_p90_ms": ("latency p90", figures.milliseconds),
    }
    for name, (title, text) in texts.items():
        value = point.value(name)
        if value is not None:
            rows.append(f"{title}: {text(value)}")
    latency = point.measurement(LATENCY)
    if latency is not None and latency.machine:
        rows.append(f"on {html.escape(latency.machine)}")
    return "<br>".join(rows)


def _narrow(points: Sequence[Point], cost: Cost) -> bool:
    values = [value for point in points if (value := point.value(cost.name))]
    return bool(values) and max(values) / min(values) < 10


def show(figure: go.Figure, key: str) -> None:
    """Put a figure on the page, in the app's look."""
    options: dict[str, Any] = {"config": _CONFIG, "theme": "streamlit", "width": "stretch"}
    st.plotly_chart(figure, key=key, **options)
