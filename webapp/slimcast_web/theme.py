"""One look for pages, charts and the live wall. Colours of categories stay apart for colour-blind eyes."""

from typing import Any

CATEGORY_COLOURS = {
    "baseline": "#6B7A7C",
    "train": "#0072B2",
    "prune": "#E69F00",
    "netadapt": "#F0E442",
    "sparsify": "#56B4E9",
    "factorize": "#CC79A7",
    "finetune": "#009E73",
    "quantize": "#D55E00",
}
"""By kind of step; from Okabe and Ito's palette, with a grey that shows on black.
Charts also give each its own marker shape."""

MARKERS = {
    "baseline": "circle-open",
    "train": "circle",
    "prune": "diamond",
    "netadapt": "triangle-down",
    "sparsify": "triangle-up",
    "factorize": "hexagon",
    "finetune": "square",
    "quantize": "star",
}
OTHER_COLOUR = "#CC79A7"
OTHER_MARKER = "cross"
SERIES_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
FRONT_COLOUR = "#7A8A8C"

_COMMON = {
    "font": "sans-serif",
    "headingFontSizes": ["1.9rem", "1.35rem", "1.1rem"],
    "headingFontWeights": [650, 600, 600],
    "baseRadius": "10px",
    "buttonRadius": "8px",
    "showWidgetBorder": True,
    "showSidebarBorder": True,
    "chartCategoricalColors": list(SERIES_COLOURS),
    "metricValueFontSize": "1.6rem",
    "metricValueFontWeight": 600,
}

_LIGHT = {
    "primaryColor": "#0F766E",
    "backgroundColor": "#FFFFFF",
    "secondaryBackgroundColor": "#F1F5F5",
    "textColor": "#12211F",
    "borderColor": "#D5DEDE",
    "linkColor": "#0B5F58",
    "codeBackgroundColor": "#F1F5F5",
    "greenColor": "#0F7B4F",
    "orangeColor": "#B45309",
    "redColor": "#B42318",
    "blueColor": "#0369A1",
    "grayColor": "#5B6B6D",
}

_DARK = {
    "primaryColor": "#0E857B",
    "backgroundColor": "#0D1416",
    "secondaryBackgroundColor": "#162124",
    "textColor": "#E6EEEE",
    "borderColor": "#2B393C",
    "linkColor": "#5EEAD4",
    "codeBackgroundColor": "#162124",
    "greenColor": "#4ADE80",
    "orangeColor": "#FBBF24",
    "redColor": "#F87171",
    "blueColor": "#7DD3FC",
    "grayColor": "#9FB0B2",
}


def streamlit_options() -> dict[str, Any]:
    """Return the theme as Streamlit's configuration options."""
    options = {f"theme.{name}": value for name, value in _COMMON.items()}
    options |= {f"theme.light.{name}": value for name, value in _LIGHT.items()}
    options |= {f"theme.dark.{name}": value for name, value in _DARK.items()}
    return options
