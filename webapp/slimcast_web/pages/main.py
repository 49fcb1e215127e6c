"""The script that Streamlit runs for every visitor: the frame around the pages."""

from pathlib import Path

import streamlit as st

from slimcast_web.components import navigation
from slimcast_web.pages import compress, fleet, home, live, runs, search, settings, tradeoffs

STATIC = Path(__file__).parent.parent / "static"


def main() -> None:
    """Set up the frame, and run the page that the address names."""
    st.set_page_config(page_title="Slimcast", page_icon=STATIC / "icon.png", layout="wide")
    pages = {
        "home": st.Page(home.show, title="Home", icon=":material/home:", url_path="home", default=True),
        "compress": st.Page(compress.show, title="Compress", icon=":material/compress:", url_path="compress"),
        "runs": st.Page(runs.show, title="Runs", icon=":material/timeline:", url_path="runs"),
        "tradeoffs": st.Page(
            tradeoffs.show, title="Trade-offs", icon=":material/balance:", url_path="trade-offs"
        ),
        "search": st.Page(search.show, title="Search", icon=":material/search:", url_path="search"),
        "fleet": st.Page(fleet.show, title="Fleet", icon=":material/router:", url_path="fleet"),
        "live": st.Page(live.show, title="Live", icon=":material/videocam:", url_path="live"),
        "settings": st.Page(settings.show, title="Settings", icon=":material/settings:", url_path="settings"),
    }
    navigation.register(pages)
    kiosk = navigation.flag("kiosk")
    page = st.navigation(list(pages.values()), position="hidden" if kiosk else "sidebar")
    if not kiosk:
        st.logo(STATIC / "logo.svg", size="large", icon_image=STATIC / "icon.svg")
    st.html(STATIC / "pages.css")
    page.run()


main()
