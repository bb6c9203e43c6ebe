"""Model sources, and what they take of memory."""
