"""Running recipes: a queue, a process for each run, and the work in that process."""
