"""`down`: ours goes, what was before comes back."""
