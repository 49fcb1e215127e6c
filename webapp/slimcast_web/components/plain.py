"""Names that came from outside, where Streamlit reads Markdown."""

import re

_MARKED = re.compile(r"([^\w\s])")


def plain(name: str) -> str:
    """Return a name that shows as it is where Markdown is understood: it may come from an upload."""
    return _MARKED.sub(r"\\\1", name)
