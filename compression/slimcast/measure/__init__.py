"""What a model costs and what it keeps. Nothing heavy is imported here: `child` runs without torch."""
