"""What a model costs and what it keeps. Imports nothing heavy by itself: `measure.child` runs without torch."""
