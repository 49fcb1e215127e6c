"""Figures of measurements, for pages and reports alike: Plotly only, no Streamlit."""
