"""Settings of a camera client."""

from slimcast_edge.settings.fields import ENROLMENT_FILE, EdgeSettings
from slimcast_edge.settings.reading import PREFIX, load_settings, parse_settings

__all__ = ["ENROLMENT_FILE", "PREFIX", "EdgeSettings", "load_settings", "parse_settings"]
