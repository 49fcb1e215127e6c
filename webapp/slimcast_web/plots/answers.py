"""Which class was taken for which."""

import html

import numpy as np
import plotly.graph_objects as go

from slimcast_web.services.answers import Confusion

_LETTERS = 14
_MOST_NUMBERS = 15
_SCALE = ((0.0, "#E3ECF1"), (0.02, "#C3DCEA"), (1.0, "#0072B2"))
"""Pale to blue, quickly at first: rare errors show, and numbers can be read in both themes."""


def confusion_matrix(confusion: Confusion) -> go.Figure:
    """Return a grid: the true class by row, the answer by column; colour is the share of the row."""
    counts = confusion.counts
    totals = counts.sum(1, keepdims=True).clip(1)
    places = list(range(len(confusion.labels)))
    names = [html.escape(label) for label in confusion.labels]
    # Nothing stands in a cell that nothing fell into: errors are what one looks for.
    texts = np.where(counts == 0, "", counts.astype(str)) if len(places) <= _MOST_NUMBERS else None
    figure = go.Figure(
        go.Heatmap(
            z=(100 * counts / totals).tolist(),
            x=places,
            y=places,
            text=None if texts is None else texts.tolist(),
            texttemplate=None if texts is None else "%{text}",
            customdata=[
                [[names[row], names[column], int(counts[row, column])] for column in places] for row in places
            ],
            hovertemplate="%{customdata[0]} taken for %{customdata[1]}: %{customdata[2]} images, "
            "%{z:.1f} % of the row<extra></extra>",
            colorscale=_SCALE,
            zmin=0,
            zmax=100,
            xgap=1,
            ygap=1,
            showscale=False,
        )
    )
    short = [html.escape(label[:_LETTERS]) for label in confusion.labels]
    ticks = {
        "tickmode": "array",
        "tickvals": places,
        "ticktext": short,
        "constrain": "domain",
        "showgrid": False,
    }
    figure.update_xaxes(title="answer", side="bottom", **ticks)
    figure.update_yaxes(title="true class", autorange="reversed", scaleanchor="x", **ticks)
    figure.update_layout(height=440, margin={"l": 8, "r": 8, "t": 8, "b": 8})
    return figure
