"""Measures on the device what a signed order of the studio names; judges orders to compare, too."""
