"""Search: a study over recipes for objectives under budgets. Each trial is an ordinary run. No torch."""

from slimcast.search.document import SearchDocument
from slimcast.search.parse import load_search, parse_search
from slimcast.search.result import SearchResult, TrialLine

__all__ = ["SearchDocument", "SearchResult", "TrialLine", "load_search", "parse_search"]
