"""Model sources, sizes and placement."""
