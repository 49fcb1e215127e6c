"""Looks at everything that a camera needs, and says what to do about what is missing."""

from slimcast_edge.doctor.examine import examine
from slimcast_edge.doctor.finding import Finding

__all__ = ["Finding", "examine"]
