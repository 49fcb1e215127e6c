"""Takes a new model in and never leaves the camera without one: download, checks, trial, swap, probation."""
