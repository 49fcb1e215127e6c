"""Takes a new model in without ever leaving the camera without one: download, checks, trial, swap, probation."""
