"""Data sets: one a file, read whole into memory as uint8."""
