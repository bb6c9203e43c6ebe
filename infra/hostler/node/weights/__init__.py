"""Model files: from where they come, where they lie, and for whom."""
