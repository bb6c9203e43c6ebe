"""Who may change what, and what was here before."""
