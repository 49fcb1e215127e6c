"""What the pages and routes need to know and do. Neither Streamlit nor torch."""
